"""Results on disk: a folder with ``results.json``, ``report.html``, and a run file for each set and system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.evaluation import Evaluation
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.pair_evaluation import PairEvaluation
from trivec.evaluate.runs import write_run
from trivec.tensorfile import write_json

RESULTS, REPORT, RUNS = "results.json", "report.html", "runs"


@dataclass(frozen=True)
class Results:
    """A model or library on sets and pairs.

    Attributes:
        options: how it was measured.
        sets: results on judged sets, by the same systems.
        pairs: results on pairs.
    """

    options: EvaluateOptions
    sets: list[Evaluation] = field(default_factory=list)
    pairs: list[PairEvaluation] = field(default_factory=list)

    def add(self, one: Evaluation | PairEvaluation) -> None:
        """Take one more."""
        if isinstance(one, Evaluation):
            self.sets.append(one)
        else:
            self.pairs.append(one)

    @property
    def model(self) -> str:
        """Whose they are."""
        return self.sets[0].model if self.sets else self.pairs[0].model


def to_dict(results: Results) -> dict[str, Any]:
    """What was measured, of whom and how, as JSON takes it."""
    options = results.options
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("trivec", "numpy", "ir-measures")},
        "options": {
            "measures": list(options.measures),
            "ties": options.ties,
            "long_documents": str(options.long_documents),
            "candidates": options.candidates,
            "max_length": options.max_length,
            "without_self": options.without_self,
        },
        "results": [_evaluation(one) for one in results.sets] + [_pair_evaluation(one) for one in results.pairs],
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    first = next(iter(evaluation.systems.values())).measured
    names = list(first.values)
    return {
        "set": evaluation.judged.name,
        "model": evaluation.model,
        "fingerprint": evaluation.fingerprint,
        **({"reranker": evaluation.reranker} if evaluation.reranker else {}),
        **({"calibration": evaluation.calibration} if evaluation.calibration else {}),
        "queries": len(first.queries),
        "documents": len(evaluation.judged.documents),
        "unknown_documents": evaluation.unknown_documents,
        "systems": {
            name: {
                "weights": {signal: system.weights[signal] for signal in system.weights},
                "fusion": system.fusion,
                "values": _rounded(system.measured.means(), 5),
                "uncertain_queries": system.uncertain,
                **({} if system.first_stage is None else {"first_stage": system.first_stage}),
                **({} if system.rerank_ms is None else {"rerank_ms": round(system.rerank_ms, 3)}),
                **({} if system.latency is None else {"latency_ms": _rounded(vars(system.latency), 3)}),
            }
            for name, system in evaluation.systems.items()
        },
        "by_language": {
            measure: {language: _rounded(own, 5) for language, own in evaluation.by_language(measure).items()}
            for measure in names
        },
        "cost": evaluation.cost.to_dict(),
    }


def _pair_evaluation(evaluation: PairEvaluation) -> dict[str, Any]:
    return {
        "pairs": evaluation.pairs.name,
        "model": evaluation.model,
        "fingerprint": evaluation.fingerprint,
        "count": len(evaluation.pairs.first),
        "systems": {name: {"values": _rounded(own, 5)} for name, own in evaluation.values.items()},
        "by_language": {language: _rounded(own, 5) for language, own in evaluation.by_language.items()},
        "cost": {"encoding_s": round(evaluation.encoding_s, 3)},
    }


def _rounded(values: Mapping[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than results.

    Raises:
        InputError: naming it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the results")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RESULTS).is_file():
        raise InputError(f"{folder} is not empty and holds no results: give a new folder")


def _write_runs(folder: Path, evaluation: Evaluation) -> None:
    """A run file for each system, ``runs/SET/SYSTEM.run``."""
    for name, system in evaluation.systems.items():
        write_run(system.run, folder / RUNS / evaluation.judged.name / f"{name}.run")


def write_results(folder: Path, results: Results) -> None:
    """``results.json``, whole or not at all, and the runs of the last set."""
    if results.sets:
        _write_runs(folder, results.sets[-1])
    write_json(folder / RESULTS, to_dict(results))
