"""Write `tests/golden/reranker_*.json`: what FlagEmbedding says about tiny rerankers, and which rows it makes of pairs.

    python benchmarks/parity/golden_rerankers.py --reference-python A/bin/python --layered-python B/bin/python

A is the reference environment of the README. B is one with transformers 4.46.3, the last release that the classes for
layer-wise and lightweight rerankers run on:

    python3.11 -m venv layered
    layered/bin/pip install torch==2.13.0
    layered/bin/pip install flagembedding==1.4.2 transformers==4.46.3 peft==0.13.2 accelerate==1.1.1

Needed again only when the builders of the checkpoints or the pairs change; the tests notice the first by the digest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "rerank")]

import tiny_llms  # noqa: E402  # both lie in the folders above
import tiny_models  # noqa: E402

MAX_LENGTH = 64
DECIMALS = 6
_QUERIES = (
    "what is the capital city of the country",
    "Was ist die Hauptstadt?",
    "river",
    "where is the river " * 20,
    "",
)
_DOCUMENTS = ("The capital city is on the river.", "", "Die Hauptstadt und der Berg. " * 3, "水と火 by night", "water")
_LONG = ("where is the book " * 20, "science and water by the river " * 20)
PAIRS = [(query, document) for query in _QUERIES for document in _DOCUMENTS] + [_LONG]
"""A long document goes with a long query only: of a short one FlagEmbedding leaves more than it says."""


@dataclass(frozen=True)
class Case:
    """A checkpoint and what FlagEmbedding is asked about it.

    Attributes:
        name: of the file.
        library: ``encoder``, ``llm``, ``layerwise`` or ``lightweight``.
        write: makes the folder.
        asked: by name of the answer, arguments of ``compute_score``.
    """

    name: str
    library: str
    write: Callable[[Path], Path]
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"plain": {}})

    @property
    def is_layered(self) -> bool:
        """Whether it needs the older transformers."""
        return self.library in ("layerwise", "lightweight")


_ALL = {"cutoff_layers": [2, 4, 6]}
CASES = (
    Case("cross_encoder", "encoder", tiny_models.write_tiny_reranker),
    Case("yes_llama", "llm", lambda folder: tiny_llms.write_tiny_llm(folder, "llama")),
    Case("yes_gemma", "llm", lambda folder: tiny_llms.write_tiny_llm(folder, "gemma")),
    Case(
        "layerwise",
        "layerwise",
        tiny_llms.write_tiny_layerwise,
        {"plain": {"cutoff_layers": [2, 3, 4, 5, 6]}, "one": {"cutoff_layers": [4]}},
    ),
    Case(
        "lightweight",
        "lightweight",
        tiny_llms.write_tiny_lightweight,
        {
            "plain": {**_ALL, "compress_ratio": 1},
            "halves": {**_ALL, "compress_layers": [2, 4], "compress_ratio": 2},
            "quarters": {**_ALL, "compress_layers": [1], "compress_ratio": 4},
            "last_alone": {"cutoff_layers": [6], "compress_ratio": 1},
        },
    ),
)


def main() -> None:
    """Ask both environments and write one file a case."""
    parser = argparse.ArgumentParser(description="write tests/golden/reranker_*.json")
    parser.add_argument("--reference-python", type=Path, required=True, help="interpreter with transformers 4.57.6")
    parser.add_argument("--layered-python", type=Path, required=True, help="interpreter with transformers 4.46.3")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = {case.name: case.write(Path(name) / case.name) for case in CASES}
        for python, layered in ((options.reference_python, False), (options.layered_python, True)):
            cases = [case for case in CASES if case.is_layered == layered]
            answers = _ask(python, cases, folders, Path(name))
            for case in cases:
                _write(case, folders[case.name], answers)


def _ask(python: Path, cases: list[Case], folders: Mapping[str, Path], workplace: Path) -> dict[str, Any]:
    jobs_file, answers_file = workplace / "jobs.json", workplace / "answers.json"
    jobs = [
        {
            "name": case.name,
            "library": case.library,
            "folder": str(folders[case.name]),
            "max_length": MAX_LENGTH,
            "pairs": PAIRS,
            "asked": case.asked,
        }
        for case in cases
    ]
    jobs_file.write_text(json.dumps(jobs), "utf-8")
    script = Path(__file__).with_name("reference_rerankers.py")
    subprocess.run([python, script, jobs_file, answers_file], check=True)
    content: dict[str, Any] = json.loads(answers_file.read_text("utf-8"))
    return content


def _write(case: Case, folder: Path, answers: Mapping[str, Any]) -> None:
    answer = answers["answers"][case.name]
    content = {
        "reference": case.library,
        "versions": answers["versions"],
        "checkpoint_digest": tiny_models.checkpoint_digest(folder),
        "max_length": MAX_LENGTH,
        "asked": case.asked,
        "pairs": PAIRS,
        "rows": answer["rows"],
        "scores": {
            name: [[round(score, DECIMALS) for score in row] for row in rows] for name, rows in answer["scores"].items()
        },
    }
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in content.items()
    ]
    path = ROOT / "tests" / "golden" / f"reranker_{case.name}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{path.name} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
