"""Claims of the M3-Embedding paper (Chen et al. 2024, 2402.03216), tried at the scale of a small model, one by one.

    python benchmarks/m3_claims.py hybrid --data EVAL_FOLDER --work WORK --out benchmarks/results
    python benchmarks/m3_claims.py long-sparse --data EVAL_FOLDER --work WORK --out benchmarks/results
    python benchmarks/m3_claims.py weights --data EVAL_FOLDER --work WORK --out benchmarks/results
    python benchmarks/m3_claims.py mcls --data EVAL_FOLDER --work WORK --out benchmarks/results --model RUN/model

hybrid: all three heads together are better than the best of them.
long-sparse: on long documents the sparse head beats the dense one, on short ones it does not.
weights: 0.2 dense + 0.8 sparse suits long documents, dense + 0.3 sparse short ones.
mcls: several CLS tokens are better than one on long texts, for a model that was not trained on them. ``--model`` is a
model with CLS pooling and more positions than its training texts had; ``recipes/cls-positions.yaml`` makes one.

The paper's other claim, that self-distillation helps the sparse head, is tried by ``training_ablation.py``.

Each prints a verdict, and writes it with its numbers to ``m3_claims_NAME.json``. P values are of paired randomisation
tests over all queries of the sets. WORK keeps rankings as run files and, under ``vectors``, vectors: claims share them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.encode.encoder import Encoder
from trivec.evaluate import EvaluateOptions, JudgedSet, evaluate, measure, read_judged, read_run, write_run
from trivec.evaluate.significance import randomisation_p
from trivec.search.long_documents import LongDocuments
from trivec.search.passages import PassageSplitter
from trivec.types import FloatArray, join_title

from common import environment, write_result

LONG = ("covidqa_long_en", "man_long_en", "man_long_multi")
ACROSS = ("man_long_xling_en", "tldr_shell", "xquad_xling_en")
"""Sets in which query and document have few words in common."""
THREE = "dense+sparse+multi"
FOR_LONG, FOR_SHORT = "dense=0.2,sparse=0.8", "dense=1,sparse=0.3"
SYSTEMS = ("dense", "sparse", "multi", THREE, FOR_LONG, FOR_SHORT)
MEASURE = "nDCG@10"
ALPHA = 0.05

Values = Mapping[str, FloatArray]
"""nDCG@10 of each query, by system."""


@dataclass(frozen=True)
class Bench:
    """Where the sets are, and where rankings are kept."""

    data: Path
    work: Path
    long: Sequence[str] = LONG

    @property
    def sets(self) -> list[str]:
        """All there are."""
        return sorted(path.parent.name for path in self.data.glob("*/qrels.tsv"))

    @property
    def short(self) -> list[str]:
        """Those with short documents in the language of the query."""
        return [name for name in self.sets if name not in (*LONG, *ACROSS)]

    def judged(self, name: str) -> JudgedSet:
        """A set."""
        return read_judged(self.data / name)

    def measure(
        self, model: Encoder, way: str, names: Sequence[str], systems: Sequence[str] = SYSTEMS
    ) -> dict[str, Values]:
        """Values by set, with documents taken in one way."""
        return {name: self.values(model, way, self.judged(name), systems) for name in names}

    def values(self, model: Encoder, way: str, judged: JudgedSet, systems: Sequence[str]) -> Values:
        """Values of one set, from run files if they are there."""
        runs = self.work / f"{model.fingerprint.digest}-{way}" / judged.name
        if not all((runs / f"{system}.run").is_file() for system in systems):
            options = EvaluateOptions(systems, [MEASURE], long_documents=LongDocuments(way))  # type: ignore[arg-type]
            result = evaluate(model, judged, options, self.work / "vectors", show_progress=True)
            for system, one in result.systems.items():
                write_run(one.run, runs / f"{system}.run")
        rankings = {system: read_run(runs / f"{system}.run").rankings for system in systems}
        found = {name: measure(own, judged.relevance, [MEASURE]).values[MEASURE] for name, own in rankings.items()}
        print(judged.name, way, {name: round(float(own.mean()), 4) for name, own in found.items()}, flush=True)
        return found


def compared(found: Mapping[str, Values], first: str, second: str) -> dict[str, Any]:
    """How much better the first system is: mean over sets, sets where it is, and p over all queries."""
    by_set = {name: float((values[first] - values[second]).mean()) for name, values in found.items()}
    differences = np.concatenate([values[first] - values[second] for values in found.values()])
    return {
        "difference": round(float(np.mean(list(by_set.values()))), 4),
        "better on": sum(value > 0 for value in by_set.values()),
        "of sets": len(by_set),
        "p": round(randomisation_p(differences), 4),
        "by set": {name: round(value, 4) for name, value in by_set.items()},
    }


def better(told: Mapping[str, Any]) -> bool:
    """Whether the first is, by more than chance."""
    return bool(told["difference"] > 0 and told["p"] < ALPHA)


def means(found: Mapping[str, Values]) -> dict[str, float]:
    """Over sets, by system."""
    systems = next(iter(found.values()))
    return {name: round(float(np.mean([values[name].mean() for values in found.values()])), 4) for name in systems}


def hybrid(bench: Bench, model: Encoder) -> dict[str, Any]:
    """All three against the best single head of each set."""
    found = bench.measure(model, "passages", bench.sets)
    with_best = {}
    for name, values in found.items():
        best = max(("dense", "sparse", "multi"), key=lambda head: float(values[head].mean()))
        with_best[name] = {**values, "best head": values[best]}
    told = {f"{THREE} - {other}": compared(with_best, THREE, other) for other in ("best head", "dense", "multi")}
    return {"holds": better(told[f"{THREE} - best head"]), "means": means(with_best), **told}


def long_sparse(bench: Bench, model: Encoder) -> dict[str, Any]:
    """Sparse against dense, on long and on short documents."""
    told: dict[str, Any] = {}
    for way in ("cut", "passages"):
        told[f"long documents, {way}"] = compared(bench.measure(model, way, bench.long), "sparse", "dense")
    told["short documents"] = compared(bench.measure(model, "passages", bench.short), "sparse", "dense")
    return {"holds": better(told["long documents, passages"]) and not better(told["short documents"]), **told}


def weights(bench: Bench, model: Encoder) -> dict[str, Any]:
    """The paper's two pairs of weights, where each should be at its best."""
    told = {
        name: compared(bench.measure(model, "passages", sets), FOR_LONG, FOR_SHORT)
        for name, sets in (("long", bench.long), ("short", bench.short), ("across languages", ACROSS))
    }
    worse_on_short = told["short"]["difference"] < 0 and told["short"]["p"] < ALPHA
    return {"holds": better(told["long"]) and worse_on_short, "difference is": f"{FOR_LONG} - {FOR_SHORT}", **told}


def mcls(bench: Bench, model: Encoder) -> dict[str, Any]:
    """Dense vectors of long texts that fit the model's positions: cut at 512 tokens, whole, with several CLS, windows.

    Texts are shortened first, so that all ways but the first see the same.
    """
    short = model.shortened(512)
    ways = {"cut at 512": (short, "cut"), "one CLS": (model, "cut"), "several CLS": (model, "mcls"),
            "windows of 512": (short, "windows")}  # fmt: skip
    found: dict[str, dict[str, FloatArray]] = {}
    for name in bench.long:
        judged = shortened(bench.judged(name), model)
        found[name] = {way: bench.values(own, how, judged, ["dense"])["dense"] for way, (own, how) in ways.items()}
    told = {f"several CLS - {other}": compared(found, "several CLS", other) for other in ways if other != "several CLS"}
    return {"holds": better(told["several CLS - one CLS"]), "tokens": model.max_length, "means": means(found), **told}


def shortened(judged: JudgedSet, model: Encoder) -> JudgedSet:
    """The set with titles in the texts, and texts of at most so many tokens that they fit with all CLS tokens."""
    room = PassageSplitter.for_encoder(model, long_documents=LongDocuments("mcls")).window
    documents = []
    for document in judged.documents:
        text = join_title(document.title, document.text)
        offsets = model.tokenizer.pieces([text])[0].offsets
        end = len(text) if len(offsets) <= room else offsets[room - 1][1]
        documents.append(replace(document, title="", text=text[:end]))
    return replace(judged, documents=documents)


CLAIMS: Mapping[str, Callable[[Bench, Encoder], dict[str, Any]]] = {
    "hybrid": hybrid,
    "long-sparse": long_sparse,
    "weights": weights,
    "mcls": mcls,
}


def main() -> None:
    """Try one claim, and write the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=list(CLAIMS))
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps rankings and vectors")
    parser.add_argument("--long", nargs="*", default=list(LONG), help="sets of long documents")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    given = parser.parse_args()
    told = CLAIMS[given.claim](Bench(given.data, given.work, given.long), trivec.load(given.model))
    print(f"{given.claim}: {'holds' if told['holds'] else 'does not hold'} at this scale")
    result = {"environment": environment("ir-measures"), "model": Path(given.model).name, "claim": given.claim, **told}
    write_result(given.out / f"m3_claims_{given.claim}.json", result)


if __name__ == "__main__":
    main()
