"""A bare product as an ONNX Runtime session, to measure what its matrix kernels can do at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def onnx_product(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Callable[[], object]:
    """A call of ``a @ b`` with ``b`` as a constant weight and the result in an array that is used again."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, a.shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, (a.shape[0], b.shape[1]))],
        [numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("a", onnxruntime.OrtValue.ortvalue_from_numpy(a))
    product = onnxruntime.OrtValue.ortvalue_from_shape_and_type([a.shape[0], b.shape[1]], np.float32)
    binding.bind_ortvalue_output("c", product)
    return lambda: session.run_with_iobinding(binding)
