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
were trained on, with their licences and credits: docs/m3-small-reranker.md in trivec's repository. What they were added
to:

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


def has_delta(folder: Path, delta_file: Path) -> bool:
    """Whether a folder was made with this very delta."""
    made_with = folder / DELTA_NAME
    return made_with.is_file() and made_with.read_bytes() == delta_file.read_bytes()
