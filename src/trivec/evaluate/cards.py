"""Results in the header of a model card, in the form that the Hugging Face hub reads (``model-index``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from trivec.errors import InputError
from trivec.evaluate.evaluation import Evaluation
from trivec.tensorfile import write_text

_HEADER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TYPES = {"nDCG": "ndcg", "R": "recall", "RR": "mrr", "AP": "map", "P": "precision", "Success": "hit_rate"}


def model_index(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """The value of ``model-index``: a result for each set, with every measure of every system.

    Args:
        evaluations: of one model.
    """
    results = []
    for evaluation in evaluations:
        metrics = [
            {"type": _metric_type(measure), "name": f"{measure}, {system}", "value": round(value, 5)}
            for system, result in evaluation.systems.items()
            for measure, value in result.measured.means().items()
        ]
        dataset = {"name": evaluation.judged.name, "type": evaluation.judged.name}
        results.append({"task": {"type": "retrieval", "name": "Retrieval"}, "dataset": dataset, "metrics": metrics})
    return [{"name": evaluations[0].model, "results": results}]


def write_card(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write results into the header of a card, whose text and other fields stay; a card that is not there is begun.

    Raises:
        InputError: the header cannot be read.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else f"\n# {evaluations[0].model}\n"
    found = _HEADER.match(text)
    try:
        header = yaml.safe_load(found[1]) if found is not None else None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: its header is no YAML ({str(error).splitlines()[0]}): mend it first") from error
    if header is not None and not isinstance(header, dict):
        raise InputError(f"{path}: its header holds no fields: mend it first")
    fields = {**(header or {}), "model-index": model_index(evaluations)}
    body = text[found.end() :] if found is not None else text
    dumped = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
    write_text(path, f"---\n{dumped}---\n{body}")


def _metric_type(measure: str) -> str:
    """As the hub's cards spell it: ``ndcg_at_10``."""
    name, _, cut = measure.partition("@")
    plain = _TYPES.get(name, name.lower())
    return f"{plain}_at_{cut}" if cut else plain
