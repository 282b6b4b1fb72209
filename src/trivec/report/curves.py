"""Curves: values by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivec.report.page import Scale, colour, figure, label

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 260, 64, 28
_POINTS = 300
"""A curve has at most so many points; each is the mean of its stretch of steps."""


@dataclass(frozen=True)
class Curve:
    """A line of a chart: values by step."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


def chart(title: str, curves: Sequence[Curve], caption: str = "by optimiser step") -> str:
    """Curves as a figure."""
    thinned = [_thin(curve) for curve in curves]
    steps = [step for curve in thinned for step in curve.steps]
    values = [value for curve in thinned for value in curve.values]
    across, up = Scale(steps, _LEFT, _WIDTH - 8), Scale(values, _HEIGHT - _BOTTOM, 12)
    drawn = [label(f"{value:.3g}", _LEFT - 8, up(value) + 4, "end") for value in (min(values), max(values))]
    drawn += [
        label(f"{step:g}", across(step), _HEIGHT - 8, anchor)
        for step, anchor in ((min(steps), "start"), (max(steps), "end"))
    ]
    drawn.append(f'<path d="M{_LEFT} 12V{_HEIGHT - _BOTTOM}H{_WIDTH - 8}" fill="none" stroke="var(--line)"/>')
    for number, curve in enumerate(thinned):
        points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(curve.steps, curve.values, strict=True))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour(number)}" stroke-width="1.8"/>')
        if len(curve.steps) < 30:
            drawn += [
                f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.5" fill="{colour(number)}"/>'
                for x, y in zip(curve.steps, curve.values, strict=True)
            ]
    return figure(title, "".join(drawn), (_WIDTH, _HEIGHT), [curve.name for curve in thinned], caption)


def _thin(curve: Curve) -> Curve:
    stretch = -(-len(curve.steps) // _POINTS)
    if stretch <= 1:
        return curve
    starts = range(0, len(curve.steps), stretch)
    steps = [_mean(curve.steps[start : start + stretch]) for start in starts]
    return Curve(curve.name, steps, [_mean(curve.values[start : start + stretch]) for start in starts])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
