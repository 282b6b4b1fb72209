from __future__ import annotations

import builtins
import inspect
import re

import pytest

from trivec import errors
from trivec.errors import MissingPackageError, TrivecError, require

CLASSES = {
    name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)
}
LINE = re.compile(r"^    (?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+Error)(?:.*\(also an? (?P<also>\w+)\))?", re.MULTILINE)


def drawn_tree() -> dict[str, tuple[str | None, str | None]]:
    """Name -> (parent, second base), as the module's docstring draws them."""
    drawn: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    for match in LINE.finditer(errors.__doc__ or ""):
        depth = len(match["indent"]) // 4
        del path[depth:]
        drawn[match["name"]] = (path[-1] if path else None, match["also"])
        path.append(match["name"])
    return drawn


def test_the_drawn_tree_names_every_class() -> None:
    assert set(drawn_tree()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_the_drawn_tree_is_the_real_one(name: str) -> None:
    parent, also = drawn_tree()[name]
    bases = {base.__name__ for base in CLASSES[name].__bases__}
    assert bases == {parent or "Exception", *([also] if also else [])}


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_is_a_trivec_error_with_a_docstring(name: str) -> None:
    assert issubclass(CLASSES[name], TrivecError)
    assert CLASSES[name].__doc__
    assert not hasattr(builtins, name)


def test_require_gives_the_module() -> None:
    assert require("json", "torch", "reading") is __import__("json")


def test_require_says_what_needs_the_package_and_how_to_get_it() -> None:
    with pytest.raises(MissingPackageError) as caught:
        require("no_such_package", "docs", "reading a PDF")
    assert str(caught.value) == (
        "reading a PDF needs the package 'no_such_package', which is not installed: pip install 'trivec[docs]'"
    )
    assert isinstance(caught.value, ImportError)
