"""The encoder on ONNX Runtime: no torch anywhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.native import GRAPH_FILE
from trivec.encode.runtime import HeadOutputs
from trivec.errors import CorruptModelError
from trivec.types import Head

_OUTPUTS: dict[Head, str] = {"dense": "dense", "sparse": "token_weights", "multi": "token_vectors"}


class OnnxRuntime:
    """Runs the graph that `trivec.encode.onnx_graph` makes, on CPU.

    The graph file beside the weights is used if there is one; otherwise it is made in memory.
    """

    batch_tokens = 768

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(checkpoint.folder))
        try:
            model = _read(checkpoint) or _make(checkpoint)
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if type(error).__module__.startswith("onnxruntime"):
                raise CorruptModelError(
                    f"ONNX Runtime cannot load {checkpoint.folder} ({str(error)[:200]}): fetch the model again"
                ) from error
            raise

    @property
    def name(self) -> str:
        """``onnx on cpu``."""
        return "onnx on cpu"

    def forward(self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head]) -> HeadOutputs:
        """One pass over a right-padded batch; ``mask_BL`` is 1 for real tokens."""
        wanted = [output for head, output in _OUTPUTS.items() if head in heads]
        results = self._session.run(wanted, {"input_ids": ids_BL, "attention_mask": mask_BL})
        return HeadOutputs(**dict(zip(wanted, results, strict=True)))


def _read(checkpoint: Checkpoint) -> bytes | None:
    """The graph that lies beside the weights, unless it lacks a head that was added when loading."""
    graph = checkpoint.folder / GRAPH_FILE
    if checkpoint.layout != "trivec" or "training_free_width" in checkpoint.loaded_by or not graph.is_file():
        return None
    return graph.read_bytes()


def _make(checkpoint: Checkpoint) -> bytes:
    from trivec.encode.onnx_graph import build_graph

    return bytes(build_graph(checkpoint).SerializeToString())
