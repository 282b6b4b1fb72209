"""``library.json``: what a library folder is, which model made it, and how it is searched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivec.errors import LibraryError, LibraryMismatchError
from trivec.fingerprint import Fingerprint
from trivec.search.migrations import FORMAT_VERSION, migrate
from trivec.search.sealed_json import seal, unseal
from trivec.tensorfile import write_text

FILE = "library.json"
_FIRST_SEALED = 2
"""The first format whose file has a checksum."""


@dataclass(frozen=True)
class Manifest:
    """The content of ``library.json``.

    Attributes:
        model: the arguments of `trivec.load` that bring the model back.
        fingerprint: of the encoder that made the vectors.
        store: which kind, a name of `trivec.search.stores.KINDS`, or ``memory``.
        folder: of the store, inside the library's. A rewritten library gets a new one, and this line is the switch.
        compression: settings of `Compression` that differ from keeping everything.
        long_documents: settings of `LongDocuments` that differ from the defaults.
        search: settings of `SearchOptions` that differ from the defaults.
        tuning: on what evidence these were chosen, see `trivec.evaluate.tuning`; empty if on none.
        rerankers: what was tuned for rerankers, `trivec.search.second_stage.TunedReranker` by their identity.
        format: version of this file and of the folder's layout, as it stands on disk.
    """

    model: Mapping[str, Any]
    fingerprint: Fingerprint
    store: str = "embedded"
    folder: str = "store"
    compression: Mapping[str, Any] = field(default_factory=dict)
    long_documents: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    rerankers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format: int = FORMAT_VERSION

    def write(self, folder: Path) -> None:
        """Write it in the present format, whole or not at all."""
        write_text(folder / FILE, seal(dataclasses.asdict(self) | {"format": FORMAT_VERSION}))

    def upgraded(self, folder: Path) -> Manifest:
        """What is on disk now, brought to the present format there. For those who are about to write to the library.

        Raises:
            LibraryError: another process has given the library another store since this manifest was read.
        """
        current = Manifest.read(folder)
        if (current.store, current.folder) != (self.store, self.folder):
            raise LibraryError(f"{folder} was rewritten by another process: open it again")
        if current.format < FORMAT_VERSION:
            current.write(folder)
        return dataclasses.replace(current, format=FORMAT_VERSION)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            LibraryError: the folder is no library, or the file is damaged.
            LibraryMismatchError: a newer trivec wrote it.
        """
        path = folder / FILE
        try:
            content, _ = unseal(path.read_text(encoding="utf-8"))
            version = int(content["format"])
            if version > FORMAT_VERSION:
                raise LibraryMismatchError(
                    f"{folder} was written by a newer trivec (format {version}, this one reads up to "
                    f"{FORMAT_VERSION}): upgrade trivec"
                )
            if not isinstance(content["model"], dict):
                raise TypeError(f"model is {content['model']!r}")
            content = migrate(content) | {"fingerprint": Fingerprint(**content["fingerprint"]), "format": version}
            return cls(**content)
        except FileNotFoundError:
            raise LibraryError(
                f"{folder} is no library (it has no {FILE}): make one with trivec index FILES --out {folder}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LibraryError(f"{path} cannot be read ({error!r}): restore the file from a copy") from error

    @staticmethod
    def check_file(folder: Path) -> list[str]:
        """What is wrong with a file that can be read, as a list of lines; empty if it is as trivec wrote it."""
        content, intact = unseal((folder / FILE).read_text(encoding="utf-8"))
        if intact or content["format"] < _FIRST_SEALED:
            return []
        return [f"{folder / FILE} is not what trivec wrote: if you did not change it, restore it from a copy"]

    def check_model(self, fingerprint: Fingerprint, folder: Path) -> None:
        """Refuse an encoder whose vectors do not fit those in the library.

        Raises:
            LibraryMismatchError: saying what differs and how to embed the library again.
        """
        if self.fingerprint.digest != fingerprint.digest:
            differences = "; ".join(self.fingerprint.differences(fingerprint))
            raise LibraryMismatchError(
                f"{folder} was made with {self.fingerprint.model}, not with {fingerprint.model} ({differences}): open "
                f"it with its own model, or embed it again with trivec index {folder} --model {fingerprint.model} "
                "--out NEW_LIBRARY"
            )
