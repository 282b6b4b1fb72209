"""Encode the same texts with trivec and with the reference libraries, and print the largest differences.

    python benchmarks/parity/compare.py --reference-python SCRATCH/bin/python \
        --model all-MiniLM-L6-v2=WHEEL_OR_FOLDER --model multilingual-e5-small=FOLDER

Torch is held to the reference, ONNX Runtime to torch. Ends with exit code 1 when a difference is beyond its
limit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from cases import MAX_LENGTH, TINY_CASES, Case, ask_reference
from numpy.typing import NDArray
from texts import PAIRS, TEXTS, WEIGHTS

import trivec

TORCH_LIMIT = 1e-5
ONNX_LIMIT = 1e-4
PACKAGES = ("trivec", "torch", "transformers", "onnxruntime", "tokenizers", "numpy")
RESULT_FILE = Path(__file__).parents[1] / "results" / "parity.json"

Output = dict[str, list[NDArray[Any]]]
"""By part ("dense", "sparse", "pairs.hybrid", ...) one array for every text or pair."""


@dataclass(frozen=True)
class Row:
    """One line of the table: the largest absolute difference in a part of a case."""

    case: str
    part: str
    runtime: str
    against: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether it is within the limit; NaN is not."""
        return self.difference <= self.limit


def main() -> int:
    """Compare, print, write the result file."""
    options = _read_options()
    with tempfile.TemporaryDirectory() as name:
        workplace = Path(name)
        cases = [(case, case.write(workplace)) for case in TINY_CASES]
        cases += [_real_model(given, workplace) for given in options.model]
        jobs = [case.job(folder) for case, folder in cases]
        reference = ask_reference(options.reference_python, jobs, workplace)
        answers = reference["answers"]
        rows = [row for case, folder in cases for row in _compare(case, folder, answers[case.name])]
    _print_table(rows)
    _write_result(options.output, rows, reference["versions"])
    return 0 if all(row.passed for row in rows) else 1


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="trivec against FlagEmbedding and sentence-transformers")
    parser.add_argument("--reference-python", type=Path, required=True, help="interpreter of the reference environment")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a sentence-transformers folder, or a wheel that holds one",
    )
    parser.add_argument("--output", type=Path, default=RESULT_FILE)
    return parser.parse_args()


def _real_model(given: str, workplace: Path) -> tuple[Case, Path]:
    """Turn ``NAME=PATH`` into a case and its folder; from a wheel, the folder with `modules.json`."""
    name, _, path = given.partition("=")
    folder = Path(path)
    if folder.is_file():
        with zipfile.ZipFile(folder) as wheel:
            wheel.extractall(workplace / name)
        folder = next((workplace / name).rglob("modules.json")).parent
    return Case(name, "sentence-transformers"), folder


def _compare(case: Case, folder: Path, answer: Mapping[str, Any]) -> Iterator[Row]:
    encoder = trivec.load(folder, runtime="torch")
    expected = read_answer(answer, encoder.tokenizer.vocabulary_size)
    torch = encode(case, encoder)
    for part in expected:
        yield Row(case.name, part, "torch", case.library, _difference(expected[part], torch[part]), TORCH_LIMIT)
    if not case.onnx:
        return
    onnx = encode(case, trivec.load(folder, runtime="onnx"))
    for part in expected:
        yield Row(case.name, part, "onnx", "torch", _difference(torch[part], onnx[part]), ONNX_LIMIT)


def read_answer(answer: Mapping[str, Any], vocabulary_size: int) -> Output:
    """Turn an answer of `reference.py` into arrays; lexical weights span the whole vocabulary."""
    output: Output = {}
    for part, value in answer.items():
        if part == "pairs":
            output |= {f"pairs.{head}": [np.asarray(scores)] for head, scores in value.items()}
        elif part == "sparse":
            output[part] = [_over_vocabulary(row, vocabulary_size) for row in value]
        else:
            output[part] = [np.asarray(row) for row in value]
    return output


def _over_vocabulary(weights: Mapping[str, float], size: int) -> NDArray[Any]:
    row = np.zeros(size)
    row[[int(number) for number in weights]] = list(weights.values())
    return row


def encode(case: Case, encoder: trivec.Encoder) -> Output:
    """Encode with trivec what the reference of this case has encoded."""
    heads = ("dense", "sparse", "multi") if case.library == "m3" else ("dense",)
    vectors = encoder.encode(TEXTS, heads=heads, max_length=MAX_LENGTH)
    output: Output = {"dense": list(vectors.dense)}
    if case.library == "m3":
        output["sparse"] = list(vectors.sparse.toarray())
        output["multi"] = list(vectors.multi)
        output |= _scores_of_pairs(vectors)
    elif case.library == "flag":
        output["prompted"] = list(encoder.encode(TEXTS, heads=heads, prompt=case.prompt, max_length=MAX_LENGTH).dense)
    else:
        output["queries"] = list(encoder.encode_queries(TEXTS, heads=heads, max_length=MAX_LENGTH).dense)
        output["documents"] = list(encoder.encode_documents(TEXTS, heads=heads, max_length=MAX_LENGTH).dense)
    return output


def _scores_of_pairs(vectors: trivec.Embeddings) -> Output:
    queries, documents = zip(*PAIRS, strict=True)
    scores = trivec.score_pairs(vectors.select(queries), vectors.select(documents), WEIGHTS, average=True)
    return {f"pairs.{head}": [getattr(scores, head)] for head in ("dense", "sparse", "multi", "hybrid")}


def _difference(expected: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]]) -> float:
    """Largest absolute difference, infinite where shapes differ, NaN where a value is."""
    if [row.shape for row in expected] != [row.shape for row in given]:
        return float("inf")
    flat = (np.concatenate([row.ravel() for row in rows]) for rows in (expected, given))
    return float(np.abs(np.subtract(*flat)).max())


def _print_table(rows: Sequence[Row]) -> None:
    print(f"{'case':24} {'part':13} {'runtime':8} {'against':22} {'difference':>10} {'limit':>7}")
    for row in rows:
        mark = "" if row.passed else "  BEYOND"
        print(
            f"{row.case:24} {row.part:13} {row.runtime:8} {row.against:22} "
            f"{row.difference:10.1e} {row.limit:7.0e}{mark}"
        )


def _write_result(path: Path, rows: Sequence[Row], reference: Mapping[str, str]) -> None:
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "reference_versions": reference,
        "texts": len(TEXTS),
        "pairs": len(PAIRS),
        "max_length": MAX_LENGTH,
        "differences": [
            {
                "case": row.case,
                "part": row.part,
                "runtime": row.runtime,
                "against": row.against,
                "max_abs_difference": float(f"{row.difference:.2e}"),
                "limit": row.limit,
            }
            for row in rows
        ],
        "passed": all(row.passed for row in rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
