"""``library.json``: what a library folder is, which model made it, and how it is searched."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivec.errors import LibraryError, LibraryMismatchError
from trivec.fingerprint import Fingerprint
from trivec.tensorfile import write_json

FILE = "library.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """The content of ``library.json``.

    Attributes:
        model: the arguments of `trivec.load` that bring the model back.
        fingerprint: of the encoder that made the vectors.
        store: ``embedded`` or ``memory``.
        search: settings of `SearchOptions` that differ from the defaults.
        format: version of this file and of the folder's layout.
    """

    model: Mapping[str, Any]
    fingerprint: Fingerprint
    store: str = "embedded"
    search: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT_VERSION

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_json(folder / FILE, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            LibraryError: the folder is no library, or the file is damaged.
            LibraryMismatchError: a newer trivec wrote it.
        """
        path = folder / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version = int(content["format"])
            if version > FORMAT_VERSION:
                raise LibraryMismatchError(
                    f"{folder} was written by a newer trivec (format {version}, this one reads up to "
                    f"{FORMAT_VERSION}): upgrade trivec"
                )
            if not isinstance(content["model"], dict):
                raise TypeError(f"model is {content['model']!r}")
            return cls(**content | {"fingerprint": Fingerprint(**content["fingerprint"])})
        except FileNotFoundError:
            raise LibraryError(
                f"{folder} is no library (it has no {FILE}): make one with trivec index FILES --out {folder}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LibraryError(f"{path} cannot be read ({error!r}): restore the file from a copy") from error

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
