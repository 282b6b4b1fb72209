"""What FlagEmbedding and sentence-transformers say about given texts. Runs in their own environment only.

    python reference.py jobs.json answers.json

`jobs.json` is a list of jobs. An answer holds "dense" and what else its library gives, one row a text:

    {"name": "...",                     key of the answer
     "library": "m3",                   "m3", "flag" or "sentence-transformers"
     "folder": "...", "max_length": 64, "texts": [...],
     "pairs": [[0, 1], ...],            places in texts
     "weights": {"dense": 1, "sparse": 0.3, "multi": 1},
     "pooling": "cls", "prompt": "",    for "flag"
     "multi_width": 32}                 for "m3"

Everything runs in float32 on the CPU. Pairs are scored one at a time, because FlagEmbedding's `compute_score`
lets the padding of a batch take part in the maximum over a shorter passage.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("flagembedding", "sentence-transformers", "transformers", "tokenizers", "torch", "numpy")


def main(jobs_file: str, answers_file: str) -> None:
    """Answer all jobs of a file."""
    answer_by_library = {"m3": m3, "flag": flag, "sentence-transformers": sentence_transformers}
    jobs = json.loads(Path(jobs_file).read_text("utf-8"))
    answers = {job["name"]: answer_by_library[job["library"]](job) for job in jobs}
    content = {"versions": {name: version(name) for name in PACKAGES}, "answers": answers}
    Path(answers_file).write_text(json.dumps(content), "utf-8")


def m3(job: dict[str, Any]) -> dict[str, Any]:
    """All three heads of `BGEM3FlagModel`, and `compute_score` of single pairs."""
    from FlagEmbedding import BGEM3FlagModel

    model = BGEM3FlagModel(job["folder"], use_fp16=False, devices="cpu", colbert_dim=job["multi_width"])
    output = model.encode(
        job["texts"],
        max_length=job["max_length"],
        return_dense=True,
        return_sparse=True,
        return_colbert_vecs=True,
    )
    return {
        "dense": output["dense_vecs"].tolist(),
        "sparse": [{number: float(w) for number, w in row.items()} for row in output["lexical_weights"]],
        "multi": [rows.tolist() for rows in output["colbert_vecs"]],
        "pairs": _scores_of_pairs(model, job),
    }


def _scores_of_pairs(model: Any, job: dict[str, Any]) -> dict[str, list[float]]:
    names = {"dense": "dense", "sparse": "sparse", "multi": "colbert", "hybrid": "colbert+sparse+dense"}
    texts, limit = job["texts"], job["max_length"]
    scores = [
        model.compute_score(
            (texts[query], texts[document]),
            max_query_length=limit,
            max_passage_length=limit,
            weights_for_different_modes=[job["weights"][head] for head in ("dense", "sparse", "multi")],
        )
        for query, document in job["pairs"]
    ]
    return {ours: [score[theirs] for score in scores] for ours, theirs in names.items()}


def flag(job: dict[str, Any]) -> dict[str, Any]:
    """`FlagModel` with a pooling; a prompt goes before the texts as a query instruction."""
    from FlagEmbedding import FlagModel

    model = FlagModel(
        job["folder"],
        use_fp16=False,
        devices="cpu",
        pooling_method=job["pooling"],
        query_instruction_for_retrieval=job["prompt"] or None,
    )
    limit = job["max_length"]
    return {
        "dense": model.encode(job["texts"], max_length=limit).tolist(),
        "prompted": model.encode_queries(job["texts"], max_length=limit).tolist(),
    }


def sentence_transformers(job: dict[str, Any]) -> dict[str, Any]:
    """`SentenceTransformer`: plain, and with the prompts that it chooses for queries and documents."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(job["folder"], device="cpu", model_kwargs={"dtype": "float32"})
    model.max_seq_length = job["max_length"]
    return {
        "dense": model.encode(job["texts"]).tolist(),
        "queries": model.encode_query(job["texts"]).tolist(),
        "documents": model.encode_document(job["texts"]).tolist(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
