"""Without mteb, its adapters can be imported, and say what to install when they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trivec import Encoder
from trivec.errors import MissingPackageError
from trivec.evaluate.mteb import MtebEncoder, MtebSearch, run_tasks


def test_the_extra_is_named(load_tiny: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    wanted = r"measuring with mteb needs the package 'mteb', which is not installed: pip install 'trivec\[mteb\]'"
    with pytest.raises(MissingPackageError, match=wanted):
        run_tasks(load_tiny("m3"), ["STS17"], tmp_path)
    with pytest.raises(MissingPackageError, match=wanted):
        MtebEncoder(load_tiny("m3")).mteb_model_meta
    with pytest.raises(MissingPackageError, match=wanted):
        MtebSearch(load_tiny("m3")).mteb_model_meta
