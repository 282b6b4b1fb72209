"""The data sets in files and folders: each file, BEIR folder or saved Arrow data set is one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trivec.data.beir_rows import BeirFolder
from trivec.data.formats import ARROW, BEIR, SUFFIXES, Format, format_by_suffix, format_named
from trivec.data.opening import COMPRESSED_SUFFIXES, plain_suffix
from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError
from trivec.search.readers.decoding import unreadable

OWN_GROUP_ENDING = "no_in_batch_neg"
"""Files and folders whose name ends so hold examples to be compared with their own passages only."""

_TRAINING_SPLIT = "train"


@dataclass(frozen=True, slots=True)
class Source:
    """A data set: what it is called, where its rows are, and how they are read."""

    name: str
    format: Format

    parts: tuple[Path, ...]
    """Read one after the other: a file, several Arrow files, or a BEIR folder."""

    files: tuple[Path, ...]
    """All that its content depends on."""

    own_group_only: bool


def find_sources(paths: Sequence[Path], format_name: str = "auto") -> list[Source]:
    """The data sets in these files and folders, in the order given; those of a folder by name.

    Hidden files, and in folders files of unknown kinds, are passed over. Each data set gets a name of its own: that
    of its file without suffixes.

    Raises:
        InputError: a path does not exist or is of an unknown kind, a folder holds no data, or there is no such format.
    """
    if not paths:
        raise InputError("no training data: name at least one file or folder")
    forced = format_named(format_name)
    found = [source for path in paths for source in _in_path(Path(path), forced)]
    return _with_own_names(found)


def _in_path(path: Path, forced: Format | None) -> Iterator[Source]:
    try:
        path.stat()
    except OSError as error:
        raise unreadable(str(path), error) from error
    if path.is_dir():
        sources = list(_in_folder(path, path, forced))
        if not sources:
            wanted = ", ".join((forced.suffixes if forced else SUFFIXES) or ("corpus.jsonl and queries.jsonl",))
            raise InputError(f"{path}: no training data in this folder: it must hold {wanted} (and .gz or .zst of it)")
        yield from sources
        return
    kind = forced or format_by_suffix(plain_suffix(path))
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file {plain_suffix(path)!r}: rename it to one of {', '.join(SUFFIXES)} "
            "(.gz and .zst too), or name its format"
        )
    yield _file_source(path, path.parent, kind)


def _in_folder(folder: Path, root: Path, forced: Format | None) -> Iterator[Source]:
    if forced in (None, BEIR) and (beir := BeirFolder.find(folder)):
        yield Source(_name(folder, root), BEIR, (folder,), beir.files, _is_own_group(folder, root))
        return
    if forced in (None, ARROW) and (arrow := _saved_arrow(folder)):
        yield Source(_name(folder, root), ARROW, arrow, arrow, _is_own_group(folder, root))
        return
    for path in _visible(folder):
        if path.is_dir():
            if not path.is_symlink():
                yield from _in_folder(path, root, forced)
        elif kind := _kind_in_folder(path, forced):
            yield _file_source(path, root, kind)


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise unreadable(str(folder), error) from error


def _kind_in_folder(path: Path, forced: Format | None) -> Format | None:
    suffix = plain_suffix(path)
    if forced is None:
        return format_by_suffix(suffix)
    return forced if suffix in forced.suffixes else None


def _file_source(path: Path, root: Path, kind: Format) -> Source:
    return Source(_name(path, root), kind, (path,), (path,), _is_own_group(path, root))


def _saved_arrow(folder: Path) -> tuple[Path, ...]:
    """The Arrow files of a folder that Hugging Face's ``save_to_disk`` wrote; empty if it is no such folder.

    Raises:
        InputError: it has several splits and none for training, or cannot be understood.
    """
    if (splits := _json_field(folder / "dataset_dict.json", "splits")) is not None:
        if _TRAINING_SPLIT not in splits:
            raise InputError(f"{folder}: no split {_TRAINING_SPLIT!r} among {splits}: name the folder of a split")
        return _saved_arrow(folder / _TRAINING_SPLIT)
    state = folder / "state.json"
    files = _json_field(state, "_data_files")
    if files is None:
        return ()
    names = [file.get("filename") if isinstance(file, dict) else None for file in files]
    missing = next((name for name in names if not isinstance(name, str) or not (folder / name).is_file()), "")
    if missing != "":
        raise InputError(f"{state}: no file {missing!r}, of which it speaks: copy the folder again")
    if _json_field(state, "_indices_files"):
        raise InputError(f"{state}: the rows are chosen by an index: save the data set after flatten_indices()")
    return tuple(folder / str(name) for name in names)


def _json_field(path: Path, name: str) -> list[object] | None:
    """A list in a JSON file; None if there is no such file or field."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}): copy the folder again") from error
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, list) else None


def _name(path: Path, root: Path) -> str:
    """The path below the folder that was named, without suffixes."""
    inner = path.relative_to(root).as_posix() if path != root else path.name or path.resolve().name
    return clean_text(inner if path.is_dir() else inner[: len(inner) - len(path.name)] + _stem(path))


def _stem(path: Path) -> str:
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSED_SUFFIXES else path.stem


def _is_own_group(path: Path, root: Path) -> bool:
    """Whether the name of the file, or of a folder from the root down to it, has the ending."""
    folders = [root.name, *path.relative_to(root).parts[:-1]]
    last = path.name if path.is_dir() else _stem(path)
    return any(name.endswith(OWN_GROUP_ENDING) for name in (*folders, last))


def _with_own_names(sources: list[Source]) -> list[Source]:
    """Number the second and later of those that share a name."""
    seen: Counter[str] = Counter()
    named = []
    for source in sources:
        seen[source.name] += 1
        count = seen[source.name]
        named.append(source if count == 1 else replace(source, name=f"{source.name} ({count})"))
    return named
