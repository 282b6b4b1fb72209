"""Points with names, such as quality against size."""

from __future__ import annotations

from collections.abc import Mapping

from trivec.report.page import Scale, colour, figure, label

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 300, 64, 44
_ROOM = 15
"""Pixels between two labels."""


def scatter(title: str, points: Mapping[str, tuple[float, float]], across_name: str, up_name: str) -> str:
    """Points as a figure.

    Args:
        title: above it.
        points: x and y by name.
        across_name: what x is.
        up_name: what y is.
    """
    xs, ys = [x for x, _ in points.values()], [y for _, y in points.values()]
    across, up = Scale(xs, _LEFT + 16, _WIDTH - 200), Scale(ys, _HEIGHT - _BOTTOM - 12, 24)
    drawn = [f'<path d="M{_LEFT} 8V{_HEIGHT - _BOTTOM}H{_WIDTH - 8}" fill="none" stroke="var(--line)"/>']
    drawn += [label(f"{value:.3f}", _LEFT - 8, up(value) + 4, "end") for value in {min(ys), max(ys)}]
    drawn += [label(f"{value:,.0f}", across(value), _HEIGHT - _BOTTOM + 16, "middle") for value in {min(xs), max(xs)}]
    drawn.append(label(across_name, (_LEFT + _WIDTH) / 2, _HEIGHT - 8, "middle"))
    taken: list[tuple[float, float]] = []
    for number, (name, (x, y)) in sorted(enumerate(points.items()), key=lambda point: -point[1][1][1]):
        left, middle = across(x), up(y)
        drawn.append(f'<circle cx="{left:.1f}" cy="{middle:.1f}" r="4.5" fill="{colour(number)}"/>')
        height = _free(taken, left, middle)
        taken.append((left, height))
        drawn.append(label(f"{name} {y:.4f}", left + 9, height + 4, kind="value"))
    return figure(title, "".join(drawn), (_WIDTH, _HEIGHT), caption=f"up: {up_name}")


def _free(taken: list[tuple[float, float]], left: float, height: float) -> float:
    """The nearest height below where a label hides no other."""
    while any(abs(left - x) < 180 and abs(height - y) < _ROOM for x, y in taken):
        height += 2
    return height
