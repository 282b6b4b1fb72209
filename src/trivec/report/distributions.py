"""Two distributions over one range, as outlines of histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trivec.report.page import colour, figure, label

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 160, 16, 24
_BINS = 60


def distributions(title: str, values: Mapping[str, Sequence[float]], caption: str = "") -> str:
    """Shares of values by size, each distribution drawn to the same height.

    Args:
        title: above it.
        values: by name; an empty one is left out.
        caption: below it.
    """
    there = {name: np.asarray(own, np.float64) for name, own in values.items() if len(own)}
    if not there:
        return ""
    low, high = min(own.min() for own in there.values()), max(own.max() for own in there.values())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    base, width = _HEIGHT - _BOTTOM, (_WIDTH - 2 * _LEFT) / _BINS
    drawn = [f'<path d="M{_LEFT} {base}H{_WIDTH - _LEFT}" fill="none" stroke="var(--line)"/>']
    for number, own in enumerate(there.values()):
        counts = np.histogram(own, edges)[0]
        heights = base - (base - 8) * counts / counts.max()
        steps = "".join(f"L{_LEFT + width * n:.1f} {y:.1f}h{width:.2f}" for n, y in enumerate(heights))
        path = f"M{_LEFT} {base}{steps}V{base}Z"
        drawn.append(f'<path d="{path}" fill="{colour(number)}" fill-opacity="0.25" stroke="{colour(number)}"/>')
    drawn += [label(f"{low:.3g}", _LEFT, _HEIGHT - 6), label(f"{edges[-1]:.3g}", _WIDTH - _LEFT, _HEIGHT - 6, "end")]
    return figure(title, "".join(drawn), (_WIDTH, _HEIGHT), list(there), caption)
