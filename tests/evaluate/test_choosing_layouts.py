"""Which layout reads a folder: the one it is in, whatever others would take it for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from trivec.evaluate.layouts import LAYOUTS, beir

from miniatures import MINIATURES


@pytest.mark.parametrize(("write", "layout"), MINIATURES, ids=lambda value: getattr(value, "__name__", None))
def test_every_miniature_is_recognised_by_its_layout(
    write: Callable[[Path], Path], layout: ModuleType, tmp_path: Path
) -> None:
    folder = write(tmp_path)
    assert next(candidate for candidate in LAYOUTS if candidate.matches(folder)) is layout


def test_every_layout_has_a_miniature() -> None:
    assert {layout for _, layout in MINIATURES} == set(LAYOUTS)


def test_an_empty_folder_is_in_no_layout(tmp_path: Path) -> None:
    assert not any(layout.matches(tmp_path) for layout in LAYOUTS)
    assert LAYOUTS[-1] is beir
