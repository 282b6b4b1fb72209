"""The folder of a run, and what is in it.

run.yaml           the recipe with everything filled in; read_recipe reads it
data.json          what the data was when the run began
batch_sizes.json   with fit_memory: the batch sizes that were found
metrics.jsonl      a line for each step (loss and its parts) and for each measurement
report.html        the same as curves, and the table of before and after
checkpoints/       checkpoint-STEP/, each with a file complete.json, written last
model/             the trained model
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.tensorfile import write_json, write_text
from trivec.train.buckets import BucketOptions
from trivec.train.recipe_files import read_recipe, write_recipe
from trivec.train.reranker_options import AnyOptions

_COMPLETE = "complete.json"
_PREFIX = "checkpoint-"


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    @classmethod
    def create(cls, options: AnyOptions) -> RunFolder:
        """A new run, with its recipe. A run that left no checkpoint makes room for it.

        Raises:
            InputError: there is a run or something else already.
        """
        if options.out is None:
            raise InputError("nothing says where the run goes: give --out FOLDER")
        run = cls(options.out)
        path = run.path
        if (path / "run.yaml").exists():
            run._make_room()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} exists: choose a new folder")
        path.mkdir(parents=True, exist_ok=True)
        write_recipe(options, path / "run.yaml")
        return run

    def _make_room(self) -> None:
        """Remove what a run without anything to lose left."""
        if self.last_checkpoint() is not None or self.model.exists():
            raise InputError(
                f"{self.path} holds a run already: go on with it by trivec train resume {self.path}, or choose another "
                "folder"
            )
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        for name in ("run.yaml", "data.json", "batch_sizes.json", "metrics.jsonl"):
            (self.path / name).unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run that was begun.

        Raises:
            InputError: there is none.
        """
        if not (path / "run.yaml").is_file():
            raise InputError(f"{path} holds no run (it has no run.yaml): give the folder that --out named")
        return cls(path)

    @property
    def options(self) -> AnyOptions:
        """The recipe, with everything filled in."""
        return read_recipe(self.path / "run.yaml")

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        """Curves and tables for people."""
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.path / "model"

    def check_data(self, facts: Mapping[str, Any]) -> None:
        """Remember what the data is, or refuse to go on with another.

        Raises:
            InputError: the data, or the number of processes, is not what it was.
        """
        place = self.path / "data.json"
        if not place.exists():
            write_json(place, dict(facts))
            return
        before = json.loads(place.read_text(encoding="utf-8"))
        changed = [
            f"{name}: {before.get(name)} / {value}" for name, value in facts.items() if before.get(name) != value
        ]
        if changed:
            raise InputError(
                f"{self.path} was begun with something else ({'; '.join(changed)}): put it back, or begin another run"
            )

    @property
    def buckets(self) -> BucketOptions | None:
        """The batch sizes that were found when the run began, if they were looked for."""
        place = self.path / "batch_sizes.json"
        if not place.exists():
            return None
        found = json.loads(place.read_text(encoding="utf-8"))
        return BucketOptions(tuple(found["bounds"]), tuple(found["batch_sizes"]))

    def keep_buckets(self, buckets: BucketOptions) -> None:
        """Remember batch sizes, so that they are never looked for again."""
        write_json(self.path / "batch_sizes.json", asdict(buckets))

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that is whole."""
        return max(complete_checkpoints(self.checkpoints), key=checkpoint_step, default=None)

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to ``metrics.jsonl``."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; one that a killed process left unfinished is passed over."""
        if not self.metrics.is_file():
            return
        with self.metrics.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)

    def forget_after(self, step: int) -> None:
        """Drop the lines of later steps, which are about to be taken again."""
        kept = [record for record in self.records() if record["step"] <= step]
        write_text(self.metrics, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))


def checkpoint_step(folder: Path) -> int:
    """Optimiser steps done when a checkpoint was taken."""
    return int(folder.name.removeprefix(_PREFIX))


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder that were written to their end, earliest first."""
    found = [path for path in folder.glob(f"{_PREFIX}*") if (path / _COMPLETE).is_file()]
    return sorted(found, key=checkpoint_step)


def mark_complete(checkpoint: Path) -> None:
    """Say that a checkpoint is whole, once all its files have reached the disk."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    sizes = {str(path.relative_to(checkpoint)): path.stat().st_size for path in files}
    write_json(checkpoint / _COMPLETE, {"step": checkpoint_step(checkpoint), "files": sizes})


def remove_old_checkpoints(folder: Path, keep: int, best_step: int | None) -> None:
    """Keep the newest checkpoints and the best, and remove all others, unfinished ones too."""
    complete = complete_checkpoints(folder)
    kept = {path for path in complete if path in complete[-keep:] or checkpoint_step(path) == best_step}
    for path in sorted(set(folder.glob(f"{_PREFIX}*")) - kept):
        (path / _COMPLETE).unlink(missing_ok=True)  # from here on it is no checkpoint, even if a kill interrupts
        shutil.rmtree(path, ignore_errors=True)
