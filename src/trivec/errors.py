"""Every error that trivec raises on purpose.

    TrivecError
    ├── InputError            a text, file or option cannot be used      (also a ValueError)
    │   └── FilterError       a filter expression cannot be read
    ├── ModelError            a model folder or name cannot be used
    │   ├── UnknownModelError     no such name, folder or cached model
    │   ├── MissingHeadError      the model has no such head
    │   └── CorruptModelError     files are damaged, or a hash is wrong
    ├── LibraryError          a library on disk cannot be used
    │   ├── LibraryMismatchError  made by another model, or by a newer trivec
    │   └── LibraryBusyError      another process has it open
    └── MissingPackageError   an optional package is not installed       (also an ImportError)

A message says what was wrong, the value seen, and what to do next. The command line prints it without a
traceback and ends with exit code 2.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class TrivecError(Exception):
    """Root of all errors raised on purpose."""


class InputError(TrivecError, ValueError):
    """A text, file or option cannot be used."""


class FilterError(InputError):
    """A filter expression cannot be read."""


class ModelError(TrivecError):
    """A model folder or name cannot be used."""


class UnknownModelError(ModelError):
    """No such model name, folder or cached model."""


class MissingHeadError(ModelError):
    """The model has no such head."""


class CorruptModelError(ModelError):
    """Model files are damaged, or do not have the expected hash."""


class LibraryError(TrivecError):
    """A library on disk cannot be used."""


class LibraryMismatchError(LibraryError):
    """A library was made by another model, or by a newer trivec."""


class LibraryBusyError(LibraryError):
    """Another process has the library open."""


class MissingPackageError(TrivecError, ImportError):
    """An optional package is not installed."""


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises:
        MissingPackageError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{purpose} needs the package {module!r}, which is not installed: pip install 'trivec[{extra}]'"
        ) from error
