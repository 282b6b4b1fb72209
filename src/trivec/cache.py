"""Where fetched models are kept: the user's cache folder, or the folder named by ``TRIVEC_CACHE``."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again. It need not exist yet."""
    named = os.environ.get("TRIVEC_CACHE")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("trivec", appauthor=False)


def model_folder(name: str) -> Path:
    """Where the model of this catalogue name is kept once it is fetched."""
    return cache_folder() / "models" / name.replace("/", "--")
