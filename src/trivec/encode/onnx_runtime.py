"""The encoder on ONNX Runtime: no torch anywhere."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.native import GRAPH_FILE, keep_graph
from trivec.encode.runtime import GRAPH_EDITION, Forward, HeadOutputs
from trivec.errors import CorruptModelError
from trivec.types import Head

logger = logging.getLogger(__name__)

_OUTPUTS: dict[Head, str] = {"dense": "dense", "sparse": "token_weights", "multi": "token_vectors"}
STATES = "token_states"


class OnnxRuntime:
    """Runs the graph that `trivec.encode.onnx_graph` makes, on CPU.

    The graph file beside the weights is used if there is one of this edition. A folder that has an earlier one, or
    none, gets a new one at its first start, because making it takes longer than all else; where the folder cannot be
    written to, it is made at each start.

    One pass uses all cores. For many batches there is a second session with one thread a pass, of which as many run
    at once as there are cores: they never wait for each other, and each keeps its activations in its own cache.
    """

    batch_tokens = 384

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        self._checkpoint = checkpoint
        self._threads = threads
        self._session = self._start(_graph(checkpoint), threads)
        self._gives_states = False
        self._lane_session: Any = None
        self._lanes_give_states = False
        self._lock = threading.Lock()

    def _start(self, model: bytes, threads: int | None) -> Any:  # noqa: ANN401
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        folder = str(self._checkpoint.folder)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if type(error).__module__.startswith("onnxruntime"):
                raise CorruptModelError(
                    f"ONNX Runtime cannot load {self._checkpoint.folder} ({str(error)[:200]}): fetch the model again"
                ) from error
            raise

    @property
    def name(self) -> str:
        """``onnx on cpu``, with ``in int8`` for a quantised model."""
        precision = self._checkpoint.precision
        return "onnx on cpu" if precision == "float32" else f"onnx in {precision} on cpu"

    def forward(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool = False
    ) -> HeadOutputs:
        """One pass over a right-padded batch; ``mask_BL`` is 1 for real tokens. ``states`` asks for token states."""
        if states:
            self._add_states()
        return _run(self._session, _wanted(heads, states), ids_BL, mask_BL)

    def lanes(self, states: bool = False) -> Sequence[Forward]:
        """One forward pass a core, each on one thread. The first call starts their session, in a fraction of a second.

        It holds a second copy of the linear layers.
        """
        count = self._threads or physical_cores()
        if count == 1:
            return [partial(self.forward, states=states)]
        with self._lock:
            if self._lane_session is None or (states and not self._lanes_give_states):
                self._lane_session = self._start(_graph(self._checkpoint, states), threads=1)
                self._lanes_give_states = states
        return [partial(self._forward_in_lane, states=states)] * count

    def _forward_in_lane(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool
    ) -> HeadOutputs:
        return _run(self._lane_session, _wanted(heads, states), ids_BL, mask_BL)

    def _add_states(self) -> None:
        """Go on with a graph that also gives token states; few need it, so it is made when first asked for."""
        with self._lock:
            if not self._gives_states:
                self._session = self._start(_graph(self._checkpoint, states=True), self._threads)
                self._gives_states = True


def _run(session: Any, wanted: list[str], ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32]) -> HeadOutputs:  # noqa: ANN401
    results = session.run(wanted, {"input_ids": ids_BL, "attention_mask": mask_BL})
    return HeadOutputs(**dict(zip(wanted, results, strict=True)))


def _wanted(heads: Collection[Head], states: bool) -> list[str]:
    return [output for head, output in _OUTPUTS.items() if head in heads] + [STATES] * states


def _graph(checkpoint: Checkpoint, states: bool = False) -> bytes:
    """The graph with these outputs: the one in the model's folder, where that is the place for it."""
    return _make(checkpoint, states) if states or not _has_place(checkpoint) else _beside_weights(checkpoint)


def _has_place(checkpoint: Checkpoint) -> bool:
    """Whether the graph file of the folder is the model as it was asked for: no head added, nothing quantised."""
    added = "training_free_width" in checkpoint.loaded_by
    return checkpoint.layout == "trivec" and checkpoint.precision == "float32" and not added


def _beside_weights(checkpoint: Checkpoint) -> bytes:
    path = checkpoint.folder / GRAPH_FILE
    content = path.read_bytes() if path.is_file() else b""
    if GRAPH_EDITION.encode() in content:
        return content
    content = _make(checkpoint, states=False)
    try:
        keep_graph(checkpoint.folder, content)
    except OSError as error:
        logger.info("%s cannot be brought up to date (%s): the graph is made at each start", path, error)
    return content


def _make(checkpoint: Checkpoint, states: bool) -> bytes:
    if checkpoint.precision != "float32":
        from trivec.encode.quantized_files import quantized_model

        return quantized_model(checkpoint, states)
    from trivec.encode.onnx_graph import build_graph

    return bytes(build_graph(checkpoint, states).SerializeToString())


def physical_cores() -> int:
    """Cores that this process may use; two threads that share one count once, where Linux tells."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    places = [Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") for number in allowed]
    return len({place.read_text() if place.is_file() else str(place) for place in places})
