"""What frozen layers gave for a text, kept on disk, so that each text passes through them once.

An epoch, a measurement, another seed or another loss then starts where the frozen layers end. States are kept in half
precision, and a text that is new is handed on in half precision too: whether its states were remembered makes no
difference to a run.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trivec.errors import InputError

_RECORD = struct.Struct("<16sQQ")
"""A text's key, the row where its states begin, and their number."""


class StateFile:
    """States of texts, by the texts' token ids: ``states.bin`` with (row, width) halves, ``states.index`` with records.

    Several processes may add to the same files. A record is written after its states, so a killed process leaves at
    most states that nobody finds.

    Args:
        folder: made if it is not there.
        width: of a state.
    """

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._row_bytes = folder, 2 * width
        self._width = width
        self._states = os.open(folder / "states.bin", os.O_RDWR | os.O_CREAT, 0o644)
        self._index = os.open(folder / "states.index", os.O_RDWR | os.O_CREAT, 0o644)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._read_index()

    def __del__(self) -> None:
        for name in ("_states", "_index"):
            if name in self.__dict__:
                os.close(self.__dict__.pop(name))

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def __len__(self) -> int:
        """Texts that this process knows of."""
        return len(self._places)

    def get(self, key: bytes) -> Tensor:
        """The states of a text: (tokens, width), float16."""
        row, tokens = self._places[key]
        states = np.empty((tokens, self._width), np.float16)
        if os.preadv(self._states, [states.data], row * self._row_bytes) != states.nbytes:
            raise InputError(f"{self._folder} was changed while it was in use: delete it, and resume the run")
        return torch.from_numpy(states)

    def put(self, keys: Sequence[bytes], states: Sequence[Tensor]) -> None:
        """Keep the states of some texts, each (tokens, width) and float16."""
        fcntl.flock(self._index, fcntl.LOCK_EX)
        try:
            row = -(-os.fstat(self._states).st_size // self._row_bytes)
            records = []
            for key, values in zip(keys, states, strict=True):
                _write(self._states, values.contiguous().numpy().tobytes(), row * self._row_bytes)
                records.append(_RECORD.pack(key, row, len(values)))
                self._places[key] = row, len(values)
                row += len(values)
            end = os.fstat(self._index).st_size // _RECORD.size * _RECORD.size
            _write(self._index, b"".join(records), end)
        finally:
            fcntl.flock(self._index, fcntl.LOCK_UN)

    def _read_index(self) -> None:
        rows = os.fstat(self._states).st_size // self._row_bytes
        whole = os.fstat(self._index).st_size // _RECORD.size * _RECORD.size
        for key, row, tokens in _RECORD.iter_unpack(os.pread(self._index, whole, 0)):
            if row + tokens <= rows:
                self._places[key] = row, tokens


class RememberedLayers:
    """The frozen layers of a backbone, made to run on texts alone whose states are not kept yet.

    The layers' ``forward`` methods are replaced on the instances: parameters keep their names, and the backbone's own
    code runs as ever, but finds the states of the last frozen layer ready.

    Args:
        layers: the frozen ones, lowest first; they take packed texts (`trivec.train.packed_texts`).
        file: what is kept.
    """

    def __init__(self, layers: Sequence[nn.Module], file: StateFile) -> None:
        self._file = file
        self._forwards: list[Callable[..., Any]] = [layer.forward for layer in layers]
        for layer in layers[:-1]:
            layer.forward = _pass_through
        layers[-1].forward = self._run

    @torch.no_grad()
    def _run(
        self,
        states_1TD: Tensor,
        *args: Any,  # noqa: ANN401
        text_runs: Sequence[tuple[int, int]],
        text_keys: Sequence[bytes],
        **kwargs: Any,  # noqa: ANN401
    ) -> Tensor:
        """States behind the last frozen layer, from those before the first: (1, T, D)."""
        lengths = [length for texts, length in text_runs for _ in range(texts)]
        texts = list(torch.split(states_1TD[0], lengths))
        first: dict[bytes, int] = {}
        for number, key in enumerate(text_keys):
            if key not in self._file:
                first.setdefault(key, number)
        if first:
            new = list(first.values())
            states = torch.cat([texts[number] for number in new])[None]
            runs = tuple((len(list(run)), length) for length, run in itertools.groupby(lengths[n] for n in new))
            for forward in self._forwards:
                states = forward(states, *args, text_runs=runs, **kwargs)
            self._file.put(list(first), torch.split(states[0].half(), [lengths[number] for number in new]))
        found_1TD = torch.empty_like(states_1TD)
        for place, key in zip(torch.split(found_1TD[0], lengths), text_keys, strict=True):
            place.copy_(self._file.get(key))
        return found_1TD


def text_keys(ids: Sequence[Tensor]) -> list[bytes]:
    """What texts are known by: a digest of their token ids, of int64 and without padding."""
    return [hashlib.blake2b(text.numpy().tobytes(), digest_size=16).digest() for text in ids]


def _pass_through(states: Tensor, *_: object, **__: object) -> Tensor:
    return states


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
