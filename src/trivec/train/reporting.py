"""``report.html``: what happened in a run, as curves and tables in one file that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivec.tensorfile import write_text
from trivec.train.recipe_files import to_fields
from trivec.train.runs import RunFolder

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 260, 64, 28
_POINTS = 300
"""A curve has at most so many points; each is the mean of its stretch of steps."""

_COLOURS = 8
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de; --soft: #59636e;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #cf222e; --c5: #9a6700; --c6: #1b7c83;
  --c7: #bf3989; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #9198a1;
  --c0: #58a6ff; --c1: #ffa657; --c2: #56d364; --c3: #d2a8ff; --c4: #ff7b72; --c5: #e3b341; --c6: #39c5cf;
  --c7: #ff80c8; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 760px;
  margin: 2em auto; padding: 0 1em; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--soft); }
table { border-collapse: collapse; } th, td { padding: .25em .8em; border-bottom: 1px solid var(--line); }
th { text-align: left; } td + td { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5em 0; overflow-x: auto; } figcaption { color: var(--soft); }
.key { white-space: nowrap; margin-right: 1em; }
pre { overflow-x: auto; }
"""


@dataclass(frozen=True)
class Curve:
    """A line of a chart: values by step."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


def write_report(run: RunFolder, table: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write the report of a run.

    Args:
        run: its folder; the curves come from its ``metrics.jsonl``.
        table: rows of the table of before and after, see `trivec.train.comparing`.
    """
    records = list(run.records())
    parts = [f"<h1>{html.escape(run.path.name)}</h1>", _table(table)]
    parts += [chart(title, curves) for title, curves in _charts(records) if curves]
    recipe = "\n".join(f"{name}: {value}" for name, value in to_fields(run.options).items())
    parts.append(f"<details><summary>Recipe</summary><pre>{html.escape(recipe)}</pre></details>")
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(run.path.name)}</title><style>{_STYLE}</style></head>"
    write_text(run.report, f"{head}<body>{''.join(parts)}</body></html>\n")


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
    if not rows:
        return ""
    columns = list(rows[0])
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(_cell(column, row[column]))}</td>' for column in columns)}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(column: str, value: object) -> str:
    """Numbers with four decimals, changes with their sign."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:+.4f}" if column == "change" else f"{value:.4f}"


def chart(title: str, curves: Sequence[Curve]) -> str:
    """Curves as a figure with an inline SVG. Its colours follow the reader's choice of dark or light."""
    thinned = [_thin(curve) for curve in curves]
    steps = [step for curve in thinned for step in curve.steps]
    values = [value for curve in thinned for value in curve.values]
    across, up = _Scale(steps, _LEFT, _WIDTH - 8), _Scale(values, _HEIGHT - _BOTTOM, 12)
    lines = [_axis_label(value, _LEFT - 8, up(value)) for value in (min(values), max(values))]
    lines += [
        f'<text x="{across(step):.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{step:g}</text>'
        for step, anchor in ((min(steps), "start"), (max(steps), "end"))
    ]
    lines.append(f'<path d="M{_LEFT} 12V{_HEIGHT - _BOTTOM}H{_WIDTH - 8}" fill="none" stroke="var(--line)"/>')
    for number, curve in enumerate(thinned):
        points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(curve.steps, curve.values, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{_colour(number)}" stroke-width="1.8"/>')
        if len(curve.steps) < 30:
            lines += [
                f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.5" fill="{_colour(number)}"/>'
                for x, y in zip(curve.steps, curve.values, strict=True)
            ]
    keys = "".join(
        f'<span class="key"><span style="color:{_colour(number)}">&#9632;</span> {html.escape(curve.name)}</span> '
        for number, curve in enumerate(thinned)
    )
    figure = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(lines)}</svg>'
    )
    return f"<figure><h2>{html.escape(title)}</h2>{figure}<figcaption>{keys}by optimiser step</figcaption></figure>"


def _axis_label(value: float, x: float, y: float) -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'


def _colour(number: int) -> str:
    return f"var(--c{number % _COLOURS})"


class _Scale:
    """From values to pixels; a single value lies in the middle."""

    def __init__(self, values: Sequence[float], start: float, stop: float) -> None:
        self._low, self._span = min(values), max(values) - min(values)
        self._start, self._length = start, stop - start

    def __call__(self, value: float) -> float:
        return self._start + self._length * ((value - self._low) / self._span if self._span else 0.5)


def _thin(curve: Curve) -> Curve:
    stretch = -(-len(curve.steps) // _POINTS)
    if stretch <= 1:
        return curve
    starts = range(0, len(curve.steps), stretch)
    steps = [_mean(curve.steps[start : start + stretch]) for start in starts]
    return Curve(curve.name, steps, [_mean(curve.values[start : start + stretch]) for start in starts])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
