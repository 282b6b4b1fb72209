"""A table whose cells have the more colour the larger their number is within its row."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from trivec.report.page import breakable


def heat_map(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float]], caption: str = "") -> str:
    """Numbers between 0 and 1 as a coloured table.

    Args:
        title: above it.
        columns: names.
        rows: by name, a number for each column.
        caption: below it.
    """
    head = "".join(f"<th>{breakable(name)}</th>" for name in ("", *columns))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(_cell(value, values) for value in values)}</tr>"
        for name, values in rows.items()
    )
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<figure><h2>{html.escape(title)}</h2>{table}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _cell(value: float, row: Sequence[float]) -> str:
    low, high = min(row), max(row)
    strength = 0.45 * (value - low) / (high - low) if high > low else 0.0
    text = f"{value:.4f}"
    shown = f"<b>{text}</b>" if text == f"{high:.4f}" else text
    return f'<td style="background: rgba(var(--heat), {strength:.2f})">{shown}</td>'
