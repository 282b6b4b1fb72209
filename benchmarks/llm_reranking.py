"""Language models that rerank, on a CPU: what it saves to read a query once, and to stop at an early layer.

    python benchmarks/llm_reranking.py --data EVAL_SET [--python flagembedding=PYTHON] \
        --out benchmarks/results/llm_reranking.json

``queries``: a language model scores 100 documents for one query, in turns with the same model run otherwise. A case is
a query and a length: ``short`` is a query of the set, ``long`` and ``longer`` are 18 and 37 of them, as a conversation
or an instruction with examples may be; documents are cut to 32, 64 or 128 tokens, shorter ones stay. ``whole rows`` and
``torch's products`` are trivec without reading the query once, and without oneDNN. ``batches of 16`` and ``one by one``
are transformers' model as published code calls it: whole rows, padded to multiples of eight, and logits of the whole
vocabulary at each token. FlagEmbedding itself wants an environment of its own; it reads its first batch twice, and gets
batches of 16 too, for by its own 128 it would do so with all documents, and its logits would fill the memory.

``layers``: the model's layers in the layout of a layer-wise reranker, with drawn heads, at cutoff layers in turns.

A case or part that is measured alone goes into the result that is there. On a machine that is busy otherwise, CPU
seconds of one thread (``OMP_NUM_THREADS=1``) are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

import trivec
from trivec.encode.loading import resolve
from trivec.encode.tokenizer import TextTokenizer
from trivec.evaluate import JudgedSet, read_judged
from trivec.rerank import Pair, Reranker
from trivec.rerank.prompt_scorer import PromptScorer
from trivec.rerank.prompts import YES_OR_NO, PromptRow, PromptTokens, begin_token
from trivec.rerank.yes_token import yes_id
from trivec.tensorfile import memory_map, write_json, write_tensors

from common import environment, physical_limits, write_result
from encoding_speed import Engine, start

QUERIES = {"short": 1, "long": 18, "longer": 37}
LENGTHS = (32, 64, 128)
CASES = tuple(f"{query}/{length}" for query in QUERIES for length in LENGTHS)
MAX_LENGTH = 1024
BATCH = 16
CUTOFFS, START_LAYER = (8, 15, 22, 30), 8
FLAGEMBEDDING = "flagembedding"

Score = Callable[[Sequence[Pair]], Sequence[float]]
Times = tuple[float, float]
"""Seconds and CPU seconds."""


class StockModel:
    """transformers' model, called as published rerankers call theirs."""

    def __init__(self, folder: Path, tokens: PromptTokens, yes: int) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokens = tokens
        self._yes = yes

    def score(self, pairs: Sequence[Pair], batch: int) -> list[float]:
        """Logits of Yes at the last tokens."""
        rows = self._tokens.rows(pairs)
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        scores = [0.0] * len(rows)
        for first in range(0, len(order), batch):
            numbers = order[first : first + batch]
            for number, logit in zip(numbers, self._read([rows[number] for number in numbers]), strict=True):
                scores[number] = logit
        return scores

    @torch.inference_mode()
    def _read(self, rows: Sequence[PromptRow]) -> list[float]:
        longest = -(-max(map(len, rows)) // 8) * 8 if len(rows) > 1 else len(rows[0])
        ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = torch.from_numpy(row.ids), 1
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        last = [len(row) - 1 for row in rows]
        return [float(value) for value in logits[range(len(rows)), last, self._yes]]


@contextmanager
def without_onednn() -> Iterator[None]:
    """Torch multiplies as it does by itself."""
    torch.backends.mkldnn.enabled = False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = True


def make_engines(folder: Path) -> tuple[dict[str, Score], PromptTokens]:
    """What takes turns in this process, and what makes their rows."""
    reranker = trivec.load_reranker(folder, max_length=MAX_LENGTH)
    rounded = trivec.load_reranker(folder, max_length=MAX_LENGTH, dtype="bfloat16")
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
    tokens = PromptTokens(tokenizer, YES_OR_NO, MAX_LENGTH, begin=begin_token(folder, tokenizer))
    assert isinstance(reranker.scorer, PromptScorer)
    whole = Reranker(PromptScorer(reranker.name, reranker.scorer.reader, tokens, share_queries=False))
    stock = StockModel(folder, tokens, yes_id(tokenizer, str(folder)))

    def by_torch(pairs: Sequence[Pair]) -> Sequence[float]:
        with without_onednn():
            return reranker.score_pairs(pairs).tolist()

    engines: dict[str, Score] = {
        "trivec": lambda pairs: reranker.score_pairs(pairs).tolist(),
        "trivec, bfloat16": lambda pairs: rounded.score_pairs(pairs).tolist(),
        "trivec, whole rows": lambda pairs: whole.score_pairs(pairs).tolist(),
        "trivec, torch's products": by_torch,
        "transformers, batches of 16": lambda pairs: stock.score(pairs, BATCH),
        "transformers, one by one": lambda pairs: stock.score(pairs, 1),
    }
    return engines, tokens


def choose_pairs(judged: JudgedSet, tokenizer: TextTokenizer, case: str, documents: int) -> list[Pair]:
    """One query, and the first documents of the set, cut."""
    kind, length = case.split("/")
    query = " ".join(query.text for query in judged.queries[: QUERIES[kind]])
    texts = [document.text for document in judged.documents[:documents]]
    return [Pair(query, _cut(text, tokenizer, int(length))) for text in texts]


def _cut(text: str, tokenizer: TextTokenizer, length: int) -> str:
    (encoding,) = tokenizer.pieces([text])
    return text if len(encoding.ids) <= length else text[: encoding.offsets[length - 1][1]]


def timed(call: Callable[[], Sequence[float]]) -> tuple[Times, Sequence[float]]:
    """Seconds and CPU seconds of a call, and what it gives."""
    begin, cpu = time.perf_counter(), time.process_time()
    given = call()
    return (round(time.perf_counter() - begin, 2), round(time.process_time() - cpu, 2)), given


def measure_case(
    engines: Mapping[str, Score], peer: Engine | None, case: str, pairs: Sequence[Pair], rounds: int
) -> tuple[dict[str, list[Times]], dict[str, Sequence[float]]]:
    """Times of each engine, round by round, and its last scores."""
    taken: dict[str, list[Times]] = {}
    scores: dict[str, Sequence[float]] = {}
    for _ in range(rounds):
        for name, score in engines.items():
            times, scores[name] = timed(partial(score, pairs))
            taken.setdefault(name, []).append(times)
        if peer is not None:
            wall, cpu = peer.run(case)
            taken.setdefault(peer.name, []).append((round(wall, 2), round(cpu, 2)))
    return taken, scores


def ratios(taken: Mapping[Any, list[Times]], of: Any, kind: int) -> dict[Any, float]:
    """Medians as multiples of one of them; ``kind`` is 0 for seconds and 1 for CPU seconds."""
    medians = {name: float(np.median([times[kind] for times in rounds])) for name, rounds in taken.items()}
    return {name: round(median / medians[of], 3) for name, median in medians.items() if name != of}


def describe_case(
    rows: Sequence[PromptRow], taken: Mapping[str, list[Times]], scores: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Lengths in tokens, times, ratios of their medians, and how far scores differ."""
    ours = np.asarray(scores["trivec"])
    best = set(np.argsort(-ours)[:10].tolist())
    return {
        "documents": len(rows),
        "tokens": {
            "query": len(rows[0].query),
            "document, mean": round(float(np.mean([len(row.document) for row in rows])), 1),
            "prompt": len(rows[0].prompt),
        },
        "threads": torch.get_num_threads(),
        "seconds_and_cpu_seconds": dict(taken),
        "trivec_is_faster_by": ratios(taken, "trivec", 0),
        "trivec_takes_less_cpu_time_by": ratios(taken, "trivec", 1),
        "largest_difference_of_logits": {
            name: float(f"{np.abs(np.asarray(other) - ours).max():.1g}")
            for name, other in scores.items()
            if name != "trivec"
        },
        "best_ten_in_common": {
            name: len(best & set(np.argsort(-np.asarray(other))[:10].tolist()))
            for name, other in scores.items()
            if name != "trivec"
        },
    }


def measure_queries(given: argparse.Namespace, folder: Path, result: dict[str, Any]) -> None:
    """All cases that are asked for, into the result."""
    judged = read_judged(given.data)
    engines, tokens = make_engines(folder)
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
    engines = {name: score for name, score in engines.items() if name in given.engines or name == "trivec"}
    cases = {case: choose_pairs(judged, tokenizer, case, given.documents) for case in given.cases}
    pythons = dict(word.split("=", 1) for word in given.python if word.startswith(FLAGEMBEDDING))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "pairs.json"
        path.write_text(json.dumps(cases), encoding="utf-8")
        started = {f"{FLAGEMBEDDING}-llm": python for python in pythons.values()}
        peers, result["skipped"] = start(started, [str(folder), str(path)], "reranking_worker.py")
        for peer in peers:
            first = next(iter(cases.values()))[:32]
            own = np.asarray(engines["trivec"](first))
            far = float(np.abs(np.asarray(peer.version["logits"]) - own).max())
            result[FLAGEMBEDDING] = {"version": peer.version["version"], "largest_difference_of_logits": far}
        for case, pairs in cases.items():
            engines["trivec"](pairs[:8])
            measured = measure_case(engines, peers[0] if peers else None, case, pairs, given.rounds)
            described = describe_case(tokens.rows(pairs), *measured)
            result.setdefault("queries", {})[case] = described
            print(case, *(json.dumps(described[key]) for key in list(described)[3:6]), flush=True)
            write_result(given.out, result)
        for peer in peers:
            peer.close()


def write_layerwise(source: Path, folder: Path) -> int:
    """The model's layers as a layer-wise reranker; the number of layers."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    layers: int = config["num_hidden_layers"]
    scales = {"scale_emb": 1, "scale_depth": layers**0.5, "dim_model_base": config["hidden_size"]}
    own = {"model_type": "minicpm", "architectures": ["LayerWiseMiniCPMForCausalLM"], "start_layer": START_LAYER}
    write_json(folder / "config.json", config | scales | own | {"head_multi": True, "head_type": "simple"})
    drawn = np.random.default_rng(0)
    heads = {
        f"lm_head.{number}.linear_head.weight": drawn.standard_normal((1, config["hidden_size"])).astype(np.float16)
        for number in range(layers - START_LAYER + 1)
    }
    write_tensors(folder / "model.safetensors", memory_map(source / "model.safetensors") | heads, {"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    return layers


def measure_layers(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds for the same pairs at each of the cutoff layers, and their shares."""
    judged = read_judged(given.data)
    pairs = choose_pairs(judged, TextTokenizer.from_file(folder / "tokenizer.json"), "short/64", given.documents)
    with tempfile.TemporaryDirectory() as scratch:
        layers = write_layerwise(folder, Path(scratch))
        rerankers = {cutoff: trivec.load_reranker(scratch, cutoff_layers=[cutoff]) for cutoff in CUTOFFS}
    for reranker in rerankers.values():
        reranker.score_pairs(pairs[:8])
    taken: dict[int, list[Times]] = {cutoff: [] for cutoff in CUTOFFS}
    for _ in range(given.rounds):
        for cutoff, reranker in rerankers.items():
            taken[cutoff].append(timed(partial(reranker.score_pairs, pairs))[0])
    return {
        "documents": len(pairs),
        "layers": layers,
        "threads": torch.get_num_threads(),
        "seconds_and_cpu_seconds": taken,
        "share_of_the_layers": {cutoff: round(cutoff / layers, 3) for cutoff in CUTOFFS if cutoff != layers},
        "share_of_the_time": ratios(taken, layers, 0),
        "share_of_the_cpu_time": ratios(taken, layers, 1),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a set in BEIR layout")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="*", default=["trivec, whole rows", "transformers, batches of 16"])
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=("queries", "layers"), default=["queries", "layers"])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    folder, _ = resolve(given.model)
    result = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    result |= {"environment": environment("torch", "transformers"), "limits": physical_limits(), "model": given.model}
    if "queries" in given.parts:
        measure_queries(given, folder, result)
    if "layers" in given.parts:
        result["layers"] = measure_layers(given, folder)
        print(json.dumps(result["layers"]))
        write_result(given.out, result)


if __name__ == "__main__":
    main()
