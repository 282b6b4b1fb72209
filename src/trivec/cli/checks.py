"""Small trials of what everything else stands on: does the store keep, does the runtime compute?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """A trial and how it went; ``detail`` is the reason if it failed."""

    name: str
    fine: bool
    detail: str


def run_checks() -> list[Check]:
    """All trials; none raises."""
    trials: dict[str, Callable[[], str]] = {"store": try_store, "onnxruntime": try_onnxruntime}
    return [_tried(name, trial) for name, trial in trials.items()]


def _tried(name: str, trial: Callable[[], str]) -> Check:
    try:
        return Check(name, True, trial())
    except Exception as error:  # whatever goes wrong is the finding
        return Check(name, False, f"{type(error).__name__}: {error}"[:300])


def try_store() -> str:
    """Write three vectors to a store, open it again and search it."""
    import numpy as np

    from trivec.embeddings import Embeddings
    from trivec.index import EmbeddedStore
    from trivec.types import Passage

    vectors = Embeddings(dense=np.eye(3, dtype=np.float32))
    with tempfile.TemporaryDirectory(prefix="trivec-doctor-") as name:
        store = EmbeddedStore.create(Path(name) / "store")
        store.upsert([Passage(str(number), "text") for number in range(3)], vectors)
        store.close()
        store = EmbeddedStore.open(Path(name) / "store")
        found = store.search("dense", vectors[1], 1).ids
        store.close()
    if found != ["1#0"]:
        raise RuntimeError(f"searching for passage 1#0 gave {found}")
    return "written, opened again and searched"


def try_onnxruntime() -> str:
    """Compute one sum."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xyz"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "y"], ["z"])], "sum", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (total,) = session.run(None, {"x": np.ones(2, np.float32), "y": np.ones(2, np.float32)})
    if not np.array_equal(total, [2.0, 2.0]):
        raise RuntimeError(f"1 + 1 gave {total}")
    return f"computes; providers {', '.join(onnxruntime.get_available_providers())}"
