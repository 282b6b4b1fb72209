"""Pictures of the result files, for the documentation.

    python benchmarks/plots.py --results benchmarks/results --out docs/images

Needs matplotlib (``pip install 'trivec[bench]'``). Colours are those of a palette that colour-blind readers can tell
apart, and the labels say everything the colours do.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

_OURS, _PEER = "#0072b2", "#b0b0b0"
_LINES = {"dense": "#0072b2", "sparse": "#d55e00", "tokens": "#009e73"}


def main() -> None:
    """Draw every picture whose result file is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    plt.rcParams.update(
        {"font.size": 10, "svg.hashsalt": "trivec", "axes.spines.top": False, "axes.spines.right": False}
    )
    pictures = {"encoding_speed": _encoding, "store_speed": _stores, "store_growth": _growth}
    for name, draw in pictures.items():
        path = arguments.results / f"{name}.json"
        if path.is_file():
            figure = draw(json.loads(path.read_text(encoding="utf-8")))
            figure.tight_layout()
            figure.savefig(arguments.out / f"{name}.svg", metadata={"Date": None})
            print(f"drew {arguments.out / name}.svg")


def _encoding(result: dict[str, Any]) -> plt.Figure:
    texts = result["models"]["m3-small"]["texts"]
    figure, axes = plt.subplots(1, len(texts), figsize=(9, 3.2))
    for axis, (name, measured) in zip(axes, texts.items(), strict=True):
        speeds = dict(sorted(measured["tokens_per_s"].items(), key=lambda item: item[1]))
        own = speeds["trivec-onnx"]
        colours = [_OURS if label.startswith("trivec") else _PEER for label in speeds]
        bars = axis.barh(list(speeds), list(speeds.values()), color=colours)
        axis.bar_label(bars, [f"{speed / own:.2f}" for speed in speeds.values()], padding=3)
        axis.set_title(f"{name}: tokens a second, and share", fontsize=9)
        axis.margins(x=0.12)
    return figure


def _stores(result: dict[str, Any]) -> plt.Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    for store, colour in (("native", _OURS), ("edge", "#d55e00")):
        found = result["stores"].get(store, {}).get("hybrid", {})
        shares = [name for name in found if name.endswith("%")] + ["all"]
        if found:
            left.plot(shares, [found[name]["p50_ms"] for name in shares], "o-", color=colour, label=store)
            right.plot(shares, [found[name]["dense recall@100"] for name in shares], "o-", color=colour, label=store)
    left.set_title(f"hybrid search of {result['passages']:,} passages, p50 ms")
    left.set_yscale("log")
    right.set_title("recall@100 of dense search")
    for axis in (left, right):
        axis.set_xlabel("passages that pass the filter")
        axis.legend()
    return figure


def _growth(result: dict[str, Any]) -> plt.Figure:
    figure, axis = plt.subplots(figsize=(6, 3.6))
    sizes = [int(size) for size in result["sizes"]]
    fields = {"dense": "k=100 p50_ms", "sparse": "k=100 p50_ms", "tokens": "200 candidates p50_ms"}
    for part, field in fields.items():
        times = [row[part][field] for row in result["sizes"].values()]
        axis.loglog(sizes, times, "o-", color=_LINES[part], label=f"{part}, {field.removesuffix(' p50_ms')}")
    exact = [row["dense"]["numpy exact p50_ms"] for row in result["sizes"].values()]
    axis.loglog(sizes, exact, ":", color=_PEER, label="dense, exact by numpy")
    axis.set_xlabel("passages")
    axis.set_ylabel("p50 ms")
    axis.legend()
    return figure


if __name__ == "__main__":
    main()
