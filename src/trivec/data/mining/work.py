"""The folder of unfinished work: parts that are done, each whole or not there at all, until the output is written.

.OUT.mining/
    plan.json           what the parts were made of and how
    index/              see `trivec.data.mining.index`
    part-00012.jsonl    the examples of a window; part-00012.audit.jsonl beside it if there is an audit
    part-00012.json     its counts, written last: a part with counts is done
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trivec.data.mining.miner import Mined
from trivec.data.mining.tally import Tally
from trivec.data.reading import read_examples
from trivec.data.writing import write_examples
from trivec.errors import InputError
from trivec.index.lock import FolderLock
from trivec.tensorfile import replacing, write_json

_PLAN = "plan.json"
_COPIED = 1 << 20


@dataclass(frozen=True)
class WorkFolder:
    """A folder of parts beside the output. Hold it in a ``with`` block: one run at a time."""

    path: Path
    lock: FolderLock

    @classmethod
    def open(cls, out: Path, plan: Mapping[str, Any]) -> WorkFolder:
        """Go on with the work for an output, or begin it.

        Parts of another plan are dropped; an index is left to whoever knows its plan.

        Raises:
            LibraryBusyError: another process works there.
        """
        if out.is_dir() or not _has_known_suffix(out):
            raise InputError(f"{out} is no name for the result: give one that ends in .jsonl, .jsonl.gz or .jsonl.zst")
        path = out.with_name(f".{out.name}.mining")
        shutil.rmtree(_removed(path), ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
        work = cls(path, FolderLock(path))
        known = path / _PLAN
        wanted = json.loads(json.dumps(plan))
        if not known.is_file() or json.loads(known.read_text(encoding="utf-8")) != wanted:
            known.unlink(missing_ok=True)
            for part in path.glob("part-*"):
                part.unlink()
            write_json(known, wanted)
        return work

    def is_done(self, number: int) -> bool:
        """Whether a part is finished."""
        return self._tally(number).is_file()

    def add(self, number: int, mined: Sequence[Mined], tally: Tally) -> None:
        """Write a part."""
        write_examples(self._examples(number), (one.example for one in mined))
        with replacing(self._audit(number)) as temporary, temporary.open("wb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for one in mined for row in one.audit)
        write_json(self._tally(number), tally.to_json())

    def tally(self, numbers: Iterable[int]) -> Tally:
        """The counts of some parts together."""
        total = Tally()
        for number in numbers:
            total.add(Tally.from_json(json.loads(self._tally(number).read_text(encoding="utf-8"))))
        return total

    def write(self, numbers: Sequence[int], out: Path, audit: Path | None) -> None:
        """Put the parts together: the audit first, and the examples last, each file as one step."""
        if audit is not None:
            with replacing(audit) as temporary, temporary.open("wb") as file:
                for number in numbers:
                    with self._audit(number).open("rb") as part:
                        shutil.copyfileobj(part, file, _COPIED)
        write_examples(out, read_examples([self._examples(number) for number in numbers]) if numbers else ())

    def remove(self) -> None:
        """All of it is in the output: let it go."""
        gone = _removed(self.path)
        self.path.rename(gone)  # in one step, so that a process killed here leaves no half of an index
        self.lock.release()
        shutil.rmtree(gone, ignore_errors=True)

    def close(self) -> None:
        """Leave it for the next run, if there is anything in it."""
        if self.path.is_dir() and not any(self.path.glob("part-*")) and not any(self.path.glob("index/store/*")):
            shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()

    def _examples(self, number: int) -> Path:
        return self.path / f"part-{number:05}.jsonl"

    def _audit(self, number: int) -> Path:
        return self.path / f"part-{number:05}.audit.jsonl"

    def _tally(self, number: int) -> Path:
        return self.path / f"part-{number:05}.json"


def _removed(path: Path) -> Path:
    return path.with_name(f"{path.name}.removed")


def _has_known_suffix(out: Path) -> bool:
    return out.name.lower().endswith((".jsonl", ".jsonl.gz", ".jsonl.zst"))
