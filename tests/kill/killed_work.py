"""What the processes do that are killed: each step is noted before it begins and after its call has returned."""

from __future__ import annotations

import os
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import trivec
from trivec import Collection, Document
from trivec.index.native import token_merging
from trivec.search.compressing import CompressOptions, compress
from trivec.search.snapshots import restore_snapshot

_CHANGES = frozenset(
    {
        "open",
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.truncate",
        "os.link",
        "shutil.rmtree",
        "sqlite3.connect",
    }
)
"""Audited events between which something on disk may have changed."""

IDS = [f"n{number}" for number in range(12)]
"""Few documents, so that most steps replace or delete some."""

SMALLER = CompressOptions(dense="int8", tokens="int4", sample=2)


@dataclass(frozen=True)
class Step:
    """One call: ``add`` or ``delete`` of documents, ``compact``, ``compress``, or ``snapshot``."""

    verb: str
    documents: tuple[Document, ...] = ()


def steps(seed: int, count: int = 15) -> list[Step]:
    """A random history."""
    rng = random.Random(seed)
    return [_step(rng, number) for number in range(count)]


def _step(rng: random.Random, number: int) -> Step:
    verb = rng.choices(["add", "delete", "compact", "compress", "snapshot"], [6, 2, 1, 1, 1])[0]
    if verb in ("compact", "compress", "snapshot"):
        return Step(verb)
    chosen = rng.sample(IDS, rng.randint(1, 5))
    long = rng.choice([1, 1, 40])
    texts = [f"water and night, version {number} of {name}. " * long for name in chosen]
    return Step(verb, tuple(Document(name, text) for name, text in zip(chosen, texts, strict=True)))


def take(library: Collection, step: Step, folder: Path) -> None:
    """Do one step."""
    if step.verb == "add":
        library.add(step.documents)
    elif step.verb == "delete":
        library.delete([document.id for document in step.documents])
    elif step.verb == "compact":
        library.compact()
    elif step.verb == "compress":
        if library.store.signals:
            compress(library, SMALLER)
    else:
        (folder / "copy.tar").unlink(missing_ok=True)
        library.snapshot(folder / "copy.tar")


def work(folder: Path, model: Path, seed: int, first: int, die_at: int) -> None:
    """Take the steps of a history from ``first`` on in ``folder/library``; ``folder/notes`` says how far it came.

    Args:
        folder: for everything.
        model: a tiny checkpoint.
        seed: of the history.
        first: how many steps are done already.
        die_at: kill this process at so many audited changes of files after the model was loaded; 0 for never.
    """
    if seed % 2:
        token_merging.OWN_FILES_FROM = 0  # merges take over files of token vectors, however small
    encoder = trivec.load(model, threads=1)
    with (folder / "notes").open("a", buffering=1) as notes:
        if die_at:
            die_after(die_at)
        with trivec.open(folder / "library", model=encoder, store="native") as library:
            print("open", file=notes)
            for number, step in enumerate(steps(seed)[first:], first):
                print("begin", number, file=notes)
                take(library, step, folder)
                print("done", number, file=notes)


def restore(folder: Path, die_at: int) -> None:
    """Restore ``folder/copy.tar`` to ``folder/restored``."""
    if die_at:
        die_after(die_at)
    restore_snapshot(folder / "copy.tar", folder / "restored")


def die_after(changes: int) -> None:
    """Kill this process, as ``kill -9`` does, just before the n-th audited change of files."""
    left = changes

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
