"""A reranker that is shipped as a delta, made of the encoder that it was trained from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from trivec.encode.checkpoints import classifier, plain
from trivec.encode.checkpoints.weights import read_weights
from trivec.encode.delta import Delta
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_json

DELTA_NAME = "delta.safetensors"

_NOTICE = """\
Head and low-rank updates (delta.safetensors, merged into model.safetensors): trivec, MIT License. The texts that they
were trained on, with their licences and credits: the model's page under docs/ in trivec's repository. What they were
added to:

"""


def write_reranker(base: Path, delta_file: Path, ways: Mapping[str, object], notice: str, folder: Path) -> None:
    """Write a cross-encoder's folder.

    Args:
        base: folder of the encoder.
        delta_file: updates of its weights, and a head.
        ways: how the reranker is best used, for `trivec.rerank.own_ways`.
        notice: about the encoder.
        folder: is made.

    Raises:
        CorruptModelError: the delta is damaged, or none of this model.
    """
    delta = Delta(delta_file)
    if len(delta.classifier) != 2:
        raise CorruptModelError(f"{delta_file} holds no head of a cross-encoder: install trivec again")
    checkpoint = classifier.as_classifier(plain.read(base), *delta.classifier)
    weights = dict(delta.merge(read_weights(base).items()))
    classifier.write_classifier(checkpoint, weights, folder)
    shutil.copyfile(delta_file, folder / DELTA_NAME)
    write_json(folder / plain.RERANKER_FILE, dict(ways))
    (folder / "NOTICE").write_text(_NOTICE + notice, encoding="utf-8")


def is_made_of(folder: Path, delta_file: Path, ways: Mapping[str, object]) -> bool:
    """Whether a folder was written from this very delta, and says to be used so."""
    made_with, told = folder / DELTA_NAME, folder / plain.RERANKER_FILE
    if not (made_with.is_file() and made_with.read_bytes() == delta_file.read_bytes()):
        return False
    try:
        return plain.read_json(told) == ways
    except CorruptModelError:
        return False
