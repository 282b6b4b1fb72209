"""A folder of vectors in parts, each whole or not there at all, that can be gone on with.

``vectors.json`` says how the vectors are made and lists the finished parts with a digest of their ids and texts. A
part is written before it is listed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trivec.embeddings import Embeddings
from trivec.encode.encoder import EncodeOptions, Encoder
from trivec.errors import InputError
from trivec.fingerprint import Fingerprint
from trivec.tensorfile import write_json, write_text
from trivec.types import Document, join_title

FILE = "vectors.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Written:
    """What the folder holds now; ``kept`` parts were there before."""

    texts: int
    parts: int
    kept: int


@dataclass
class VectorFolder:
    """Where the parts are, how they are made, and which are finished."""

    path: Path
    encoder: Encoder
    prompt: str
    options: EncodeOptions
    shard_size: int
    digests: list[str]

    @classmethod
    def open(cls, path: Path, encoder: Encoder, prompt: str, options: EncodeOptions, shard_size: int) -> VectorFolder:
        """Go on with a folder, or begin one.

        Raises:
            InputError: it holds vectors that were made in another way, or something else.
        """
        folder = cls(path, encoder, prompt, options, shard_size, [])
        made = folder._made()
        if (path / FILE).is_file():
            folder.digests = _read_digests(path, made)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} exists and holds no vectors of trivec encode: choose another folder")
        return folder

    def _made(self) -> dict[str, Any]:
        """How the vectors are made; the encoder is asked, so that wrong options are refused before any work."""
        empty = self._encode([], replace(self.options, progress=False))
        fingerprint = empty.fingerprint or self.encoder.fingerprint
        fingerprint = replace(fingerprint, query_prompt=self.prompt, document_prompt=self.prompt)
        return {
            "fingerprint": json.loads(fingerprint.to_json()),
            "heads": sorted(empty.heads),
            "shard_size": self.shard_size,
        }

    def add(self, documents: list[Document]) -> None:
        """Encode one part and write it."""
        texts = [join_title(document.title, document.text) for document in documents]
        vectors = self._encode(texts, self.options)
        stem = part_stem(len(self.digests))
        vectors.save(self.path / f"{stem}.safetensors")
        lines = (json.dumps(document.id, ensure_ascii=False) + "\n" for document in documents)
        write_text(self.path / f"{stem}.ids.txt", "".join(lines))
        self.digests.append(digest(documents))
        write_json(self.path / FILE, {"format": FORMAT_VERSION, **self._made(), "parts": self.digests})

    def _encode(self, texts: list[str], options: EncodeOptions) -> Embeddings:
        return Embeddings.concatenate(list(self.encoder.stream(texts, self.prompt, options)))

    def keeps(self, number: int, documents: list[Document]) -> bool:
        """Whether this part is finished.

        Raises:
            InputError: it is, with other texts.
        """
        if number >= len(self.digests):
            return False
        if self.digests[number] != digest(documents):
            raise InputError(
                f"{self.path}/{part_stem(number)} holds the vectors of other texts (the source has changed since): "
                "choose another folder, or remove this one"
            )
        return True


def write_parts(folder: VectorFolder, documents: Iterable[Document]) -> Written:
    """Encode all documents that are not encoded yet.

    Raises:
        KeyboardInterrupt: the user stopped it; the message says what is there.
        InputError: a document cannot be read, or finished parts hold other texts.
    """
    texts = kept = parts = 0
    try:
        for number, shard in enumerate(_shards(documents, folder.shard_size)):
            if folder.keeps(number, shard):
                kept += 1
            else:
                folder.add(shard)
            texts, parts = texts + len(shard), parts + 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped: {folder.path} holds {len(folder.digests):,} parts; run the same command again to go on"
        ) from None
    if parts == 0:
        raise InputError("there are no documents to encode: name other sources")
    if parts < len(folder.digests):
        raise InputError(
            f"{folder.path} holds {len(folder.digests)} parts and the source gives only {parts}: choose another "
            "folder, or remove this one"
        )
    return Written(texts, parts, kept)


def _shards(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    stream = iter(documents)
    while shard := list(itertools.islice(stream, size)):
        yield shard


def part_stem(number: int) -> str:
    """Name of a part's files, without their suffix."""
    return f"part-{number:05}"


def digest(documents: Iterable[Document]) -> str:
    """Sixteen hexadecimal digits over ids, titles and texts."""
    total = hashlib.sha256()
    for document in documents:
        line = json.dumps([document.id, document.title, document.text])
        total.update(line.encode() + b"\n")
    return total.hexdigest()[:16]


def _read_digests(path: Path, made: dict[str, Any]) -> list[str]:
    try:
        found = json.loads((path / FILE).read_text(encoding="utf-8"))
        before = Fingerprint(**found["fingerprint"])
        version, digests = int(found["format"]), [str(part) for part in found["parts"]]
        settings = {name: found[name] for name in ("heads", "shard_size")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / FILE} cannot be read ({error!r}): remove the folder, or choose another") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{path} was written by a newer trivec (format {version}): upgrade trivec")
    now = Fingerprint(**made["fingerprint"])
    changed = before.differences(now) if before.digest != now.digest else []
    changed += [f"{name}: {value} / {made[name]}" for name, value in settings.items() if value != made[name]]
    if changed:
        raise InputError(
            f"{path} holds vectors of {before.model} made in another way ({'; '.join(changed)}): choose another "
            "folder, or remove this one"
        )
    missing = [n for n in range(len(digests)) if not (path / f"{part_stem(n)}.safetensors").is_file()]
    return digests[: missing[0]] if missing else digests
