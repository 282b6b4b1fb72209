"""Where quantised graphs are kept, so that a model is quantised once: beside it, or in the user's cache folder.

A file's name says which model it is of, and its first line is a checksum of the rest. A file that is damaged, or of
another edition, is made again.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from trivec.cache import cache_folder
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.loading import fingerprint
from trivec.encode.runtime import GRAPH_EDITION
from trivec.tensorfile import replacing

logger = logging.getLogger(__name__)

_SEAL_BYTES = 65
"""Sixty-four hexadecimal digits of SHA-256 and a line break."""


def quantized_model(checkpoint: Checkpoint, states: bool = False) -> bytes:
    """The serialised graph of a checkpoint whose ``precision`` is ``int8``: a kept one, or else a new one.

    Raises:
        ModelError: no graph can be made of the model.
        CorruptModelError: a weight is missing or damaged.
    """
    name = file_name(checkpoint, states)
    cached = cache_folder() / "quantized" / name
    kept = _read(checkpoint.folder / name) or _read(cached)
    if kept is not None:
        return kept
    content = _make(checkpoint, states)
    try:
        _write(cached, content)
    except OSError as error:
        logger.warning("%s cannot be kept at %s (%s): it is quantised at each start", checkpoint.name, cached, error)
    return content


def write_beside(checkpoint: Checkpoint) -> None:
    """Keep the quantised graph in the model's own folder."""
    _write(checkpoint.folder / file_name(checkpoint), quantized_model(checkpoint))


def file_name(checkpoint: Checkpoint, states: bool = False) -> str:
    """What the quantised graph of a checkpoint is called wherever it is kept."""
    key = hashlib.sha256(f"{fingerprint(checkpoint).digest} {GRAPH_EDITION}".encode()).hexdigest()[:16]
    return f"{checkpoint.precision}-{key}{'-states' if states else ''}.graph"


def _make(checkpoint: Checkpoint, states: bool) -> bytes:
    from trivec.encode.quantization import quantized_graph

    logger.info("quantising %s to %s", checkpoint.name, checkpoint.precision)
    return bytes(quantized_graph(checkpoint, states).SerializeToString())


def _read(path: Path) -> bytes | None:
    """What a file holds, if it is there and whole."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    if content[:_SEAL_BYTES] != _seal(content[_SEAL_BYTES:]):
        logger.warning("%s is damaged: it is made again", path)
        return None
    return content[_SEAL_BYTES:]


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(_seal(content) + content)


def _seal(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"
