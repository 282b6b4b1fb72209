"""Results in the header of a model card, in the form that the Hugging Face hub reads (``model-index``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trivec.errors import InputError
from trivec.evaluate.results import Results
from trivec.tensorfile import write_text

_HEADER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TYPES = {
    "Spearman": "cosine_spearman",
    "Pearson": "cosine_pearson",
    "nDCG": "ndcg",
    "R": "recall",
    "RR": "mrr",
    "AP": "map",
    "P": "precision",
    "Success": "hit_rate",
}


def model_index(found: Results) -> list[dict[str, Any]]:
    """The value of ``model-index``: a result for each set, with every measure of every system."""
    results = []
    for evaluation in found.sets:
        means = {system: result.measured.means() for system, result in evaluation.systems.items()}
        results.append(_result("retrieval", "Retrieval", evaluation.judged.name, means))
    for one in found.pairs:
        task = ("bitext-mining", "Bitext Mining") if one.pairs.grades is None else ("sts", "STS")
        results.append(_result(*task, one.pairs.name, one.values))
    return [{"name": found.model, "results": results}]


def _result(task: str, task_name: str, dataset: str, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """One result, with every value by system and measure."""
    return {
        "task": {"type": task, "name": task_name},
        "dataset": {"name": dataset, "type": dataset},
        "metrics": [
            {"type": _metric_type(measure), "name": f"{measure}, {system}", "value": round(value, 5)}
            for system, own in values.items()
            for measure, value in own.items()
        ],
    }


def write_card(path: Path, found: Results) -> None:
    """Write results into the header of a card, whose text and other fields stay; a card that is not there is begun.

    Raises:
        InputError: the header cannot be read.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else f"\n# {found.model}\n"
    match = _HEADER.match(text)
    try:
        header = yaml.safe_load(match[1]) if match is not None else None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: its header is no YAML ({str(error).splitlines()[0]}): mend it first") from error
    if header is not None and not isinstance(header, dict):
        raise InputError(f"{path}: its header holds no fields: mend it first")
    fields = {**(header or {}), "model-index": model_index(found)}
    body = text[match.end() :] if match is not None else text
    dumped = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
    write_text(path, f"---\n{dumped}---\n{body}")


def _metric_type(measure: str) -> str:
    """As the hub's cards spell it: ``ndcg_at_10``."""
    name, _, cut = measure.partition("@")
    plain = _TYPES.get(name, name.lower())
    return f"{plain}_at_{cut}" if cut else plain
