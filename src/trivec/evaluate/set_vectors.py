"""The vectors of a judged set: its passages part by part, kept on disk, so that a run can be stopped and taken up.

Documents become passages as in a library. A part holds whole documents, and its file is named for everything that its
vectors depend on, so another model, another length or another text finds none of the old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.progress import Progress
from trivec.search.long_documents import LongDocuments
from trivec.search.passages import PassageSplitter
from trivec.types import Document, Head, Passage

_PART = 2048
"""Passages encoded together, and a little more where the last document has several."""


@dataclass(frozen=True)
class SetEncoder:
    """Encodes queries and passages for measuring.

    Attributes:
        encoder: gives the vectors.
        heads: those that are measured, or none; terms are counted apart.
        long_documents: how documents become passages.
        cache: folder that keeps vectors, or None.
        show_progress: a bar on terminals.
    """

    encoder: Encoder
    heads: Sequence[Head]
    long_documents: LongDocuments = field(default_factory=LongDocuments)
    cache: Path | None = None
    show_progress: bool = False

    def split(self, documents: Sequence[Document]) -> list[list[Passage]]:
        """The passages of all documents in order, in parts."""
        splitter = self._splitter()
        parts: list[list[Passage]] = [[]]
        for document in documents:
            if len(parts[-1]) >= _PART:
                parts.append([])
            parts[-1] += splitter.split(document)
        return parts

    def contents(self, passages: Sequence[Passage]) -> list[str]:
        """What is encoded for each passage, without the prompt."""
        splitter = self._splitter()
        return [splitter.content(passage) for passage in passages]

    def encode_parts(self, parts: Sequence[Sequence[Passage]]) -> Iterator[Embeddings]:
        """The vectors of one part after the other, with nothing in them where no head is measured."""
        if not self.heads:
            yield from (Embeddings() for _ in parts)
            return
        splitter = self._splitter()
        with Progress("encoding", "passages", self.show_progress, sum(map(len, parts))) as bar:
            for part in parts:
                yield self._kept(part, splitter)
                bar.update(len(part))

    def is_kept(self, part: Sequence[Passage]) -> bool:
        """Whether the vectors of a part were encoded before, and will be read."""
        path = self._path(part)
        return path is not None and path.is_file()

    def encode_queries(self, queries: Sequence[JudgedQuery]) -> Embeddings:
        """The vectors of all queries in order, each with its own prompt, and their terms."""
        return encode_queries(self.encoder, queries, [*self.heads, "terms"])

    def _splitter(self) -> PassageSplitter:
        return PassageSplitter.for_encoder(self.encoder, long_documents=self.long_documents)

    def _kept(self, part: Sequence[Passage], splitter: PassageSplitter) -> Embeddings:
        path = self._path(part)
        if path is not None and path.is_file():
            return Embeddings.load(path)
        vectors = splitter.encode(self.encoder, part, self.heads)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            vectors.save(path)
        return vectors

    def _path(self, part: Sequence[Passage]) -> Path | None:
        """Of a part's vectors, where they are kept."""
        if self.cache is None:
            return None
        contents = [f"{passage.document_id}\0{passage.title}\0{passage.text}" for passage in part]
        named = [self.encoder.fingerprint.digest, str(self.long_documents), ",".join(self.heads), *contents]
        key = hashlib.sha256("\0\0".join(named).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return self.cache / f"{key}.safetensors"


def encode_queries(encoder: Encoder, queries: Sequence[JudgedQuery], heads: Sequence[Head]) -> Embeddings:
    """The vectors of queries in order, each with its own prompt, without a fingerprint, which differs by prompt."""
    default = encoder.checkpoint.query_prompt
    prompts = [default if query.prompt is None else query.prompt for query in queries]
    places: list[int] = []
    parts: list[Embeddings] = []
    for prompt in dict.fromkeys(prompts):
        rows = [row for row, own in enumerate(prompts) if own == prompt]
        places += rows
        encoded = encoder.encode([queries[row].text for row in rows], heads, prompt)
        parts.append(Embeddings(encoded.dense, encoded.sparse, encoded.multi, encoded.terms))
    return Embeddings.concatenate(parts).select(np.argsort(places))
