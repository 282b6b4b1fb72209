"""``report.html``: what happened in a run, as curves and tables in one file that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from trivec.report.curves import Curve, chart
from trivec.report.page import table, write_page
from trivec.train.recipe_files import to_fields
from trivec.train.runs import RunFolder


def write_report(run: RunFolder, rows: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write the report of a run.

    Args:
        run: its folder; the curves come from its ``metrics.jsonl``.
        rows: of the table of before and after, see `trivec.train.comparing`.
    """
    records = list(run.records())
    parts = [_table(rows), *(chart(title, curves) for title, curves in _charts(records) if curves)]
    recipe = "\n".join(f"{name}: {value}" for name, value in to_fields(run.options).items())
    parts.append(f"<details><summary>Recipe</summary><pre>{html.escape(recipe)}</pre></details>")
    write_page(run.report, run.path.name, parts)


def _charts(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Curve]]]:
    steps = [record for record in records if record["kind"] == "step"]
    measured = [record for record in records if record["kind"] == "measurement" and record["set"] == "dev"]
    losses = {name: name for record in steps for name in record["loss"]}
    charts = [("Loss", [_curve(name, steps, "loss", name) for name in losses])]
    measures = {name.partition(" ")[2]: None for record in measured for name in record["values"]}
    for measure in measures:
        names = {name: None for record in measured for name in record["values"] if name.endswith(f" {measure}")}
        charts.append((f"{measure} on the development set", [_curve(name, measured, "values", name) for name in names]))
    return charts


def _curve(title: str, records: Sequence[Mapping[str, Any]], group: str, name: str) -> Curve:
    pairs = [(record["step"], record[group][name]) for record in records if name in record[group]]
    return Curve(title, [step for step, _ in pairs], [value for _, value in pairs])


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0]) if rows else []
    return table(columns, [[_cell(column, row[column]) for column in columns] for row in rows])


def _cell(column: str, value: object) -> str:
    """Numbers with four decimals, changes with their sign."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:+.4f}" if column == "change" else f"{value:.4f}"
