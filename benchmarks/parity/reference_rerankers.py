"""What FlagEmbedding's rerankers say about given pairs. Runs in their own environments only.

    python reference_rerankers.py jobs.json answers.json

`jobs.json` is a list of jobs; see `golden_rerankers.py`. An answer holds "rows", the token ids that the model saw of
each pair, and "scores": by name of what was asked, a list of logits a pair, one a layer.

Everything runs in float32 on the CPU, one pair at a time. The lightweight class lets torch choose its attention, which
then forgets to cap the logits that Gemma 2 caps; here it is told to use the one that does.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("flagembedding", "transformers", "tokenizers", "torch", "numpy")


def main(jobs_file: str, answers_file: str) -> None:
    """Answer all jobs of a file."""
    jobs = json.loads(Path(jobs_file).read_text("utf-8"))
    answers = {job["name"]: _answer(job) for job in jobs}
    content = {"versions": {name: version(name) for name in PACKAGES}, "answers": answers}
    Path(answers_file).write_text(json.dumps(content), "utf-8")


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    reranker = _load(job["library"], job["folder"])
    seen: list[list[int]] = []
    forward = reranker.model.forward

    def recorded(*args: Any, **inputs: Any) -> Any:
        ids, mask = inputs["input_ids"][0].tolist(), inputs["attention_mask"][0].tolist()
        seen.append([number for number, real in zip(ids, mask, strict=True) if real])
        return forward(*args, **inputs)

    reranker.model.forward = recorded
    scores, rows = {}, []
    for name, arguments in job["asked"].items():
        scores[name] = []
        for pair in job["pairs"]:
            answer = reranker.compute_score([tuple(pair)], max_length=job["max_length"], **arguments)
            scores[name].append([part[0] if isinstance(part, list) else part for part in answer])
            rows.append(seen[-1])
    return {"rows": rows[: len(job["pairs"])], "scores": scores}


def _load(library: str, folder: str) -> Any:
    import FlagEmbedding

    classes = {
        "encoder": "FlagReranker",
        "llm": "FlagLLMReranker",
        "layerwise": "LayerWiseFlagLLMReranker",
        "lightweight": "LightWeightFlagLLMReranker",
    }
    if library == "lightweight":
        from FlagEmbedding.inference.reranker.decoder_only.models import gemma_model

        gemma_model.CostWiseGemma2PreTrainedModel._supports_sdpa = False
    return getattr(FlagEmbedding, classes[library])(folder, use_fp16=False, devices="cpu")


if __name__ == "__main__":
    main(*sys.argv[1:])
