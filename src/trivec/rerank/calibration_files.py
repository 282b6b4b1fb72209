"""Where calibrations are kept: in the folder of a model that is the user's own, else in the user's cache folder.

Names of the catalogue and of the hub stand for folders that others use too, or that the next fetch replaces. A file's
name says whose scores it is for: the same weights, asked in the same way. A model that was trained on, or scored behind
another layer, has logits of another scale and finds no calibration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.cache import cache_folder
from trivec.rerank.calibration import Calibration, read_calibration


@dataclass(frozen=True)
class CalibrationFiles:
    """Where one reranker's calibration may be.

    Attributes:
        places: files, the first one for writing; the first one that exists is read.
    """

    places: tuple[Path, ...]

    @classmethod
    def of(cls, identity: str, folder: Path | None = None, is_named: bool = False) -> CalibrationFiles:
        """Those of a model.

        Args:
            identity: digest of the weights, and of how they are asked.
            folder: of the model; None if it has none of its own, as an ensemble.
            is_named: it was given by a name, not as a folder.
        """
        name = f"calibration-{identity}.json"
        cached = cache_folder() / "calibrations" / name
        if folder is None:
            return cls((cached,))
        beside = folder / name
        is_own = not is_named and os.access(folder, os.W_OK)
        return cls((beside, cached) if is_own else (cached, beside))

    def read(self) -> Calibration | None:
        """The calibration, if there is one.

        Raises:
            CorruptModelError: its file is damaged.
        """
        found = next((path for path in self.places if path.is_file()), None)
        return None if found is None else read_calibration(found)

    def write(self, calibration: Calibration, evidence: Mapping[str, Any] | None = None) -> Path:
        """Keep one, with what is known of its quality, and say where."""
        calibration.write(self.places[0], evidence)
        return self.places[0]
