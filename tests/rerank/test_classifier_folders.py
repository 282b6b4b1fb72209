"""Folders of cross-encoders: what is written is read back, and which models are told the texts of a pair apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec.encode.checkpoints.classifier import ARCHITECTURES, read_classifier, write_classifier
from trivec.encode.checkpoints.export import backbone_tensors
from trivec.encode.tokenizer import TextTokenizer


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_what_is_written_is_read_back(
    kind: str, reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    checkpoint = read_classifier(reranker_folder(kind))
    names = ARCHITECTURES[kind]
    backbone = {
        name.removeprefix(names.backbone): tensor
        for name, tensor in backbone_tensors(checkpoint.folder).items()
        if name.startswith(names.backbone) and not name.startswith((names.inner, names.last))
    }
    write_classifier(checkpoint, backbone, tmp_path / "model")
    before, after = (trivec.load_reranker(path).score_pairs(pairs) for path in (checkpoint.folder, tmp_path / "model"))
    np.testing.assert_array_equal(before, after)
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert (config["architectures"], config["id2label"]) == ([names.name], {"0": "LABEL_0"})
    assert "torch_dtype" not in config


def test_types_of_tokens_need_a_tokenizer_that_tells_them(
    reranker_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    bert, other = reranker_folder("bert"), reranker_folder("xlm-roberta")
    assert TextTokenizer.from_file(bert / "tokenizer.json").types_two_texts
    assert not TextTokenizer.from_file(other / "tokenizer.json").types_two_texts
    mixed = Path(shutil.copytree(bert, tmp_path / "mixed"))
    shutil.copyfile(other / "tokenizer.json", mixed / "tokenizer.json")
    separators = [read_classifier(folder).separator for folder in (bert, other, mixed)]
    assert separators == [TextTokenizer.from_file(bert / "tokenizer.json").id_of("[SEP]"), None, None]
