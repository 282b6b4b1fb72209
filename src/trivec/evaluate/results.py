"""Results on disk: a folder with ``results.json``, ``report.html``, and a run file for each set and system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.evaluation import EvaluateOptions, Evaluation
from trivec.evaluate.runs import write_run
from trivec.tensorfile import write_json

RESULTS, REPORT, RUNS = "results.json", "report.html", "runs"


def to_dict(evaluations: Sequence[Evaluation], options: EvaluateOptions) -> dict[str, Any]:
    """What was measured, of whom and how, as JSON takes it."""
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
        "results": [_evaluation(evaluation) for evaluation in evaluations],
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    first = next(iter(evaluation.systems.values())).measured
    names = list(first.values)
    return {
        "set": evaluation.judged.name,
        "model": evaluation.model,
        "fingerprint": evaluation.fingerprint,
        "queries": len(first.queries),
        "documents": len(evaluation.judged.documents),
        "unknown_documents": evaluation.unknown_documents,
        "systems": {
            name: {
                "weights": {signal: system.weights[signal] for signal in system.weights},
                "fusion": system.fusion,
                "values": {measure: round(value, 5) for measure, value in system.measured.means().items()},
                "uncertain_queries": system.uncertain,
                **({} if system.latency is None else {"latency_ms": _rounded(vars(system.latency))}),
            }
            for name, system in evaluation.systems.items()
        },
        "by_language": {
            measure: {
                language: {name: round(value, 5) for name, value in own.items()}
                for language, own in evaluation.by_language(measure).items()
            }
            for measure in names
        },
        "cost": {
            "encoding_s": round(evaluation.cost.encoding_s, 3),
            "scoring_s": round(evaluation.cost.scoring_s, 3),
            "passages": evaluation.cost.passages,
            "bytes_by_head": dict(evaluation.cost.bytes_by_head),
            "library_bytes": evaluation.cost.library_bytes,
        },
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than results.

    Raises:
        InputError: naming it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the results")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RESULTS).is_file():
        raise InputError(f"{folder} is not empty and holds no results: give a new folder")


def write_runs(folder: Path, evaluation: Evaluation) -> None:
    """A run file for each system, ``runs/SET/SYSTEM.run``."""
    for name, system in evaluation.systems.items():
        write_run(system.run, folder / RUNS / evaluation.judged.name / f"{name}.run")


def write_results(folder: Path, evaluations: Sequence[Evaluation], options: EvaluateOptions) -> None:
    """``results.json``, whole or not at all."""
    write_json(folder / RESULTS, to_dict(evaluations, options))
