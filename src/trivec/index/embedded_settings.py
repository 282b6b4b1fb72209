"""``store.json``: the schema and the options of an embedded store, and the version of its layout."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import LibraryError, LibraryMismatchError
from trivec.index.bm25 import Bm25Options
from trivec.index.embedded_shard import EmbeddedOptions
from trivec.index.files import sync_folder
from trivec.index.schema import VectorSchema
from trivec.tensorfile import write_json

_FILE, _FORMAT, _VERSION = "store.json", "trivec.store", 1


@dataclass(frozen=True)
class StoreSettings:
    """What ``store.json`` says; without a schema, nothing has been stored yet."""

    schema: VectorSchema | None
    options: EmbeddedOptions
    bm25: Bm25Options

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        settings = {
            "format": _FORMAT,
            "version": _VERSION,
            "widths": None if self.schema is None else dict(self.schema.widths),
            "options": dataclasses.asdict(self.options),
            "bm25": dataclasses.asdict(self.bm25),
        }
        write_json(folder / _FILE, settings)
        sync_folder(folder)

    @classmethod
    def read(cls, folder: Path) -> StoreSettings:
        """Read the file.

        Raises:
            LibraryError: there is none, or it is damaged.
            LibraryMismatchError: a newer trivec wrote it.
        """
        path = folder / _FILE
        if not path.is_file():
            raise LibraryError(f"there is no store in {folder}: name the folder of a library, or create one")
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            if settings["format"] != _FORMAT:
                raise ValueError(f"its format is {settings['format']!r}")
            if settings["version"] > _VERSION:
                raise LibraryMismatchError(
                    f"{folder} has format {settings['version']}, this trivec reads up to {_VERSION}: upgrade trivec"
                )
            widths = settings["widths"]
            schema = None if widths is None else VectorSchema(widths)
            return cls(schema, EmbeddedOptions(**settings["options"]), Bm25Options(**settings["bm25"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(f"{path} is damaged ({error!r}): restore it from a snapshot, or index again") from error
