"""Write `tests/golden/*.json`: what the reference libraries say about the tiny checkpoints, for the test-suite.

    python benchmarks/parity/golden.py --reference-python SCRATCH/bin/python

Needed again only when `tests/tiny_models.py` or the texts change; the tests notice the first by the digest.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cases import MAX_LENGTH, TINY_CASES, Case, ask_reference
from texts import PAIRS, TEXTS, WEIGHTS

from tiny_models import checkpoint_digest

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
CASES = ("tiny_m3", "tiny_m3_narrow_fp16", "tiny_bert_mean", "tiny_bert_dense", "tiny_bert_last", "tiny_roberta_plain")
MULTI_TEXTS = (0, 16, 19)
"""Whose multi-vectors are kept: a sentence, one character, nothing."""
DECIMALS = 7


def main() -> None:
    """Ask the reference and write one file a case."""
    parser = argparse.ArgumentParser(description="write tests/golden")
    parser.add_argument("--reference-python", type=Path, required=True, help="interpreter of the reference environment")
    options = parser.parse_args()
    cases = [case for case in TINY_CASES if case.name in CASES]
    with tempfile.TemporaryDirectory() as name:
        folders = {case.name: case.write(Path(name)) for case in cases}
        reference = ask_reference(
            options.reference_python, [case.job(folders[case.name]) for case in cases], Path(name)
        )
        digests = {case: checkpoint_digest(folder) for case, folder in folders.items()}
    GOLDEN.mkdir(exist_ok=True)
    for case in cases:
        content = _content(case, digests[case.name], reference["versions"], reference["answers"][case.name])
        path = GOLDEN / f"{case.name}.json"
        path.write_text(_dump(content), "utf-8")
        print(f"{path.name} {path.stat().st_size:,} bytes")


def _content(case: Case, digest: str, versions: Mapping[str, str], answer: dict[str, Any]) -> dict[str, Any]:
    if "multi" in answer:
        answer["multi_lengths"] = [len(rows) for rows in answer["multi"]]
        answer["multi"] = {str(text): answer["multi"][text] for text in MULTI_TEXTS}
    return {
        "reference": case.library,
        "versions": versions,
        "builder": case.builder,
        "arguments": dict(case.arguments),
        "checkpoint_digest": digest,
        "max_length": MAX_LENGTH,
        "prompt": case.prompt,
        "texts": TEXTS,
        "pairs": PAIRS if case.library == "m3" else [],
        "weights": WEIGHTS,
        "expected": _rounded(answer),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _dump(content: Mapping[str, Any]) -> str:
    """JSON with one line a key, and one a part of what is expected."""
    lines = [f"{json.dumps(key)}: {_compact(value)}" for key, value in content.items() if key != "expected"]
    parts = [f"  {json.dumps(part)}: {_compact(value)}" for part, value in content["expected"].items()]
    lines.append('"expected": {\n' + ",\n".join(parts) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
