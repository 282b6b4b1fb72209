"""Bars: one number for each name, with its value at the end."""

from __future__ import annotations

from collections.abc import Mapping

from trivec.report.page import colour, figure, label

_WIDTH, _ROW, _LETTER = 720, 26, 7.2


def bars(title: str, values: Mapping[str, float], caption: str = "", digits: int = 4) -> str:
    """Bars from 0, as a figure.

    Args:
        title: above it.
        values: by name, 0 or more.
        caption: below it.
        digits: of the numbers.
    """
    left = 16 + _LETTER * max(map(len, values))
    room = _WIDTH - left - 16 - _LETTER * (digits + 2)
    most = max(values.values()) or 1.0
    drawn = []
    for row, (name, value) in enumerate(values.items()):
        top, length = row * _ROW + 4, room * value / most
        drawn.append(label(name, left - 8, top + 14, "end"))
        size = f'width="{max(length, 0.5):.1f}" height="{_ROW - 8}"'
        drawn.append(f'<rect x="{left:.1f}" y="{top}" {size} rx="2" fill="{colour(row)}"/>')
        drawn.append(label(f"{value:.{digits}f}", left + length + 6, top + 14, kind="value"))
    return figure(title, "".join(drawn), (_WIDTH, len(values) * _ROW + 4), caption=caption)
