"""What is compared: tiny checkpoints of every layout, each with the library that defines its numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from texts import PAIRS, TEXTS, WEIGHTS

import tiny_models

Library = Literal["m3", "flag", "sentence-transformers"]

MAX_LENGTH = 64
"""Tokens per text: the longest text is cut."""


@dataclass(frozen=True)
class Case:
    """A checkpoint and who is asked about it.

    Attributes:
        name: in tables and file names.
        library: the reference: `BGEM3FlagModel`, `FlagModel` or `SentenceTransformer`.
        builder: function of `tests/tiny_models.py` that writes the checkpoint; "" for a folder that is there.
        arguments: of the builder.
        prompt: put before the texts by `FlagModel.encode_queries`.
        onnx: whether a graph can be made of it; `pytorch_model.bin` runs in torch only.

    """

    name: str
    library: Library
    builder: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = ""
    onnx: bool = True

    def write(self, folder: Path) -> Path:
        """Write the checkpoint into ``folder / name``."""
        path: Path = getattr(tiny_models, self.builder)(folder / self.name, **self.arguments)
        return path

    def job(self, folder: Path) -> dict[str, Any]:
        """Describe the case to `reference.py`."""
        return {
            "name": self.name,
            "library": self.library,
            "folder": str(folder),
            "max_length": MAX_LENGTH,
            "texts": TEXTS,
            "pairs": PAIRS,
            "weights": WEIGHTS,
            "prompt": self.prompt,
            "pooling": self.arguments.get("pooling", "cls"),
            "multi_width": self.arguments.get("multi_width", tiny_models.HIDDEN),
        }


_PROMPTS = {"query": "query: ", "document": "passage: "}
_INSTRUCTION = "Represent this sentence for searching: "
_SENTENCE_TRANSFORMERS = {"layout": "sentence-transformers"}

TINY_CASES: tuple[Case, ...] = (
    Case("tiny_m3", "m3", "write_tiny_m3"),
    Case("tiny_m3_narrow_fp16", "m3", "write_tiny_m3", {"multi_width": 8, "dtype": "float16"}),
    Case("tiny_m3_wide_bin", "m3", "write_tiny_m3", {"multi_width": 48, "weights": "bin"}, onnx=False),
    Case("tiny_bert_plain", "flag", "write_tiny_bert", prompt=_INSTRUCTION),
    Case(
        "tiny_bert_mean",
        "flag",
        "write_tiny_bert",
        {**_SENTENCE_TRANSFORMERS, "pooling": "mean"},
        prompt=_INSTRUCTION,
    ),
    Case(
        "tiny_bert_dense",
        "sentence-transformers",
        "write_tiny_bert",
        {**_SENTENCE_TRANSFORMERS, "pooling": "mean", "dense_module": True, "prompts": _PROMPTS},
    ),
    Case(
        "tiny_bert_max",
        "sentence-transformers",
        "write_tiny_bert",
        {**_SENTENCE_TRANSFORMERS, "pooling": "max", "normalize": False, "release": "current"},
    ),
    Case(
        "tiny_bert_last",
        "sentence-transformers",
        "write_tiny_bert",
        {**_SENTENCE_TRANSFORMERS, "pooling": "lasttoken", "release": "current", "prompts": _PROMPTS},
    ),
    Case("tiny_roberta_plain", "flag", "write_tiny_roberta", prompt=_INSTRUCTION),
)


def ask_reference(python: Path, jobs: Sequence[Mapping[str, Any]], workplace: Path) -> dict[str, Any]:
    """Run `reference.py` with the interpreter of its environment: versions, and an answer for every job."""
    jobs_file, answers_file = workplace / "jobs.json", workplace / "answers.json"
    jobs_file.write_text(json.dumps(jobs), "utf-8")
    script = Path(__file__).with_name("reference.py")
    subprocess.run([python, script, jobs_file, answers_file], check=True)
    content: dict[str, Any] = json.loads(answers_file.read_text("utf-8"))
    return content
