"""Running commands in tests, and what they run on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS: list[dict[str, Any]] = [
    {"id": "paris", "title": "Paris", "text": "Paris is the capital city of France.", "lang": "en", "year": 2001},
    {"id": "berlin", "title": "Berlin", "text": "Berlin ist die Hauptstadt und liegt an der Spree.", "lang": "de"},
    {"id": "tokyo", "text": "東京は日本の首都で、人が多い。", "lang": "ja", "year": 1999},
    {"id": "water", "text": "Water and night, river and mountain. " * 30 + "The library has a book.", "lang": "en"},
]


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


TRIVEC = (sys.executable, "-m", "trivec.cli")

Run = Callable[..., Outcome]


def write_jsonl(path: Path, rows: Sequence[object]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [*TRIVEC, *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}, **options
    )


def finish(process: subprocess.Popen[str], text: str | None = None) -> Outcome:
    out, err = process.communicate(text, timeout=120)
    return Outcome(process.returncode, out, err)
