"""`prepare`: training data read and checked once, then on disk, so that any example is at hand by its number.

    FOLDER/KEY/contents             JSON: what it was made from, data sets, counts, bad lines
    FOLDER/KEY/examples, offsets    one data set after the other, see `trivec.data.spool`

KEY is a hash of the inputs' places, sizes and times of change, and of the options. The folder is a cache: what is in it
can be removed when nothing uses it.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from trivec.data.bad_lines import BadLines
from trivec.data.examples import Example
from trivec.data.reading import read_source
from trivec.data.sources import Source, find_sources
from trivec.data.spool import Spool, SpoolWriter, is_whole
from trivec.errors import InputError
from trivec.index.files import sync_folder
from trivec.progress import Progress
from trivec.search.scratch import scratch_folder
from trivec.search.sealed_json import seal, unseal

_logger = logging.getLogger(__name__)

_VERSION = 1
_CONTENTS = "contents"


@dataclass(frozen=True, slots=True)
class DatasetPart:
    """The examples of one data set: those with numbers from ``start`` up to but not including ``stop``."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class Prepared(Sequence[Example]):
    """Examples on disk, one data set after the other. Texts are read when asked for and not kept.

    It can be pickled, and shared by threads and forked processes. Make it with `prepare`.
    """

    def __init__(self, folder: Path) -> None:
        """Open what `prepare` wrote.

        Raises:
            InputError: the folder holds something else, or not all of it.
        """
        content = _read_contents(folder)
        if content is None:
            raise InputError(f"{folder}: no whole prepared training data: prepare it again")
        self.folder = folder
        self.fingerprint: str = content["fingerprint"]
        """Hash of all examples in their order and of where data sets end, whatever files they came from."""

        self.datasets = tuple(_parts(content))
        self._starts = [part.start for part in self.datasets]
        self._spool = Spool(folder)

    def __len__(self) -> int:
        return len(self._spool)

    @overload
    def __getitem__(self, number: int) -> Example: ...

    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...

    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        """The example of this number, from 0; a slice gives a list."""
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return self._spool[range(len(self))[number]]

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[type[Prepared], tuple[Path]]:
        return Prepared, (self.folder,)

    def dataset_of(self, number: int) -> int:
        """The position in `datasets` of the data set that an example belongs to."""
        return bisect.bisect_right(self._starts, number) - 1


def prepare(
    paths: Sequence[Path],
    folder: Path,
    format: str = "auto",
    bad: BadLines | None = None,
    encoding: str | None = None,
    show_progress: bool = False,
) -> Prepared:
    """Read training data into a folder, or find it there if its files have not changed.

    A data set without any example is left out with a warning. Stopped at any moment, nothing half done is left, and
    several processes may prepare the same at once.

    Args:
        paths: files and folders, as `trivec.data.reading.read_examples` takes them.
        folder: a cache for any number of preparations.
        format: as in `read_examples`.
        bad: as in `read_examples`; it is filled also when nothing had to be read.
        encoding: as in `read_examples`.
        show_progress: a bar on terminals.

    Raises:
        InputError: a path or line cannot be used, or there is no example at all.
        MissingPackageError: a format needs a package that is not installed.
    """
    rule = bad or BadLines()
    sources = find_sources(paths, format)
    inputs = {"version": _VERSION, "skip_bad": rule.skip, "encoding": encoding, "sources": _describe(sources)}
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    target = folder / key
    if _read_contents(target) is None:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder, key) as scratch:
            content = _fill(scratch, sources, rule, encoding, show_progress)
            (scratch / _CONTENTS).write_text(seal({**content, "inputs": inputs}), "utf-8")
            _publish(scratch, target)
    else:
        _recall(target, rule)
    return Prepared(target)


def _describe(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """What the content depends on. A changed file with its old size and time of change is not noticed."""
    return [
        {
            "name": source.name,
            "format": source.format.name,
            "own_group_only": source.own_group_only,
            "files": [
                [str(path.resolve()), status.st_size, status.st_mtime_ns]
                for path in source.files
                for status in (path.stat(),)
            ],
        }
        for source in sources
    ]


def _fill(
    folder: Path, sources: Sequence[Source], rule: BadLines, encoding: str | None, show_progress: bool
) -> dict[str, Any]:
    """Write the examples, and say what they are."""
    reading = rule.reading(encoding)
    counts: dict[str, int] = {}
    with Progress("Reading", "examples", show_progress) as progress, SpoolWriter(folder) as spool:
        for source in sources:
            before = spool.count
            for example in read_source(source, reading):
                spool.add(example)
                progress.update(1)
            counts[source.name] = spool.count - before
    for name in [name for name, count in counts.items() if not count]:
        _logger.warning("%s has no examples and is left out", name)
        del counts[name]
    if not counts:
        raise InputError(f"no examples in {', '.join(source.name for source in sources)}: {_first_problem(rule)}")
    parts = json.dumps([spool.digest, *counts.values()])
    return {
        "fingerprint": hashlib.sha256(parts.encode()).hexdigest(),
        "count": spool.count,
        "size": spool.size,
        "datasets": counts,
        "skipped": rule.count,
        "problems": rule.messages,
    }


def _first_problem(rule: BadLines) -> str:
    return f"all lines are bad, the first: {rule.messages[0]}" if rule.messages else "name files that hold some"


def _publish(scratch: Path, target: Path) -> None:
    """Move a finished folder to its place, unless another process was first; what is damaged there gives way."""
    sync_folder(scratch)
    try:
        scratch.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _read_contents(target) is None:
            with scratch_folder(target.parent, f"{target.name}-damaged") as away:
                target.rename(away / target.name)
            scratch.rename(target)
    sync_folder(target.parent)


def _recall(folder: Path, rule: BadLines) -> None:
    """Record the bad lines that were met when the data was read."""
    content = _read_contents(folder) or {"skipped": 0, "problems": []}
    for problem in content["problems"]:
        rule.report.skip(problem)
    rule.report.skipped += content["skipped"] - len(content["problems"])


def _read_contents(folder: Path) -> dict[str, Any] | None:
    """What is in the folder; None unless all of it is there."""
    with contextlib.suppress(OSError, ValueError):
        content, is_unchanged = unseal((folder / _CONTENTS).read_text("utf-8"))
        if is_unchanged and is_whole(folder, content["count"], content["size"]):
            return content
    return None


def _parts(content: dict[str, Any]) -> Iterator[DatasetPart]:
    start = 0
    for name, count in content["datasets"].items():
        yield DatasetPart(name, start, start + count)
        start += count
