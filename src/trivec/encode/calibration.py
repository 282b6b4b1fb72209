"""What the layers of an encoder are applied to, seen on the calibration texts and on random strings.

Random strings of the vocabulary reach what no few texts do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from trivec.encode.calibration_texts import TEXTS
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.onnx_graph import build_graph
from trivec.encode.tokenizer import TextTokenizer
from trivec.types import FloatArray

Groups = Sequence[NDArray[np.intp]]
_SAMPLE = 512
"""Rows that are kept, about; sizes and moments are over all rows."""
_BATCH_TOKENS = 512
_RANDOM_STRINGS, _RANDOM_TOKENS = 24, 96


@dataclass(frozen=True, eq=False)
class Inputs:
    """What calibration saw of a layer's input.

    Attributes:
        reach: the greatest size of every channel, (K,).
        rows: a sample, (n, K).
        moments: the sum of x x^T for each group of channels.
    """

    reach: FloatArray
    rows: FloatArray
    moments: Sequence[FloatArray]

    @classmethod
    def of(cls, values: FloatArray, groups: Groups, rows: slice = slice(None)) -> Inputs:
        """Those of all that there is, (n, K), with ``rows`` of it as the sample."""
        parts = [values[:, group] for group in groups]
        return cls(np.abs(values).max(axis=0), values[rows], [part.T @ part for part in parts])

    def joined(self, other: Inputs) -> Inputs:
        """Both together."""
        moments = [mine + theirs for mine, theirs in zip(self.moments, other.moments, strict=True)]
        return Inputs(np.maximum(self.reach, other.reach), np.concatenate([self.rows, other.rows]), moments)


def observe(checkpoint: Checkpoint, wanted: Mapping[str, Groups]) -> dict[str, Inputs]:
    """What tensors of the float32 graph hold, each with its groups of channels; every row is a token's."""
    model = build_graph(checkpoint)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(checkpoint.folder))
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    texts = list(_calibration_ids(checkpoint))
    stride, place = max(1, sum(map(len, texts)) // _SAMPLE), 0
    found: dict[str, Inputs] = {}
    for batch in _batches(texts):
        passes = [session.run(list(wanted), _feeds(ids)) for ids in batch]
        rows = slice(-place % stride, None, stride)
        for name, parts in zip(wanted, zip(*passes, strict=True), strict=True):
            seen = Inputs.of(np.concatenate(parts), wanted[name], rows)
            found[name] = found[name].joined(seen) if name in found else seen
        place += sum(map(len, batch))
    return found


def _feeds(ids: Sequence[int]) -> dict[str, NDArray[np.int64] | NDArray[np.int32]]:
    return {"input_ids": np.asarray([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int32)}


def _batches(texts: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
    """Texts whose moments are taken at once: few large products take a fraction of the time of many small ones."""
    batch: list[Sequence[int]] = []
    for ids in texts:
        batch.append(ids)
        if sum(map(len, batch)) >= _BATCH_TOKENS:
            yield batch
            batch = []
    if batch:
        yield batch


def _calibration_ids(checkpoint: Checkpoint) -> Iterator[Sequence[int]]:
    """The texts by turns as queries and as documents, two windows full of all of them, and random strings."""
    tokenizer = TextTokenizer.of(checkpoint)
    prompts = (checkpoint.query_prompt, checkpoint.document_prompt)
    length = min(checkpoint.max_length, 512)
    everything = " ".join(TEXTS)
    ids: Sequence[int] = ()
    for number, text in enumerate((*TEXTS, everything, everything[len(everything) // 2 :])):
        ids = tokenizer.tokenize([text], length, prompts[number % 2])[0].ids
        yield ids
    known = min(tokenizer.vocabulary_size, int(str(checkpoint.config["vocab_size"])))
    pieces = np.setdiff1d(np.arange(known), np.asarray(list(tokenizer.weightless_ids)))
    random = np.random.default_rng(0)
    for _ in range(_RANDOM_STRINGS):
        yield [ids[0], *random.choice(pieces, max(1, min(_RANDOM_TOKENS, length - 2))).tolist(), ids[-1]]
