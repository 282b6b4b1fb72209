"""Documents to passages and back.

A document that fits the model's window is one passage; a longer one is cut by the chunker, unless the library takes
long documents in another way (`trivec.search.long_documents`). The title is put before every passage when it is
encoded, so that a passage from the middle still says what it is about; a title longer than a quarter of the window is
cut there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.encode.tokenizer import TextTokenizer, clean_text
from trivec.search.chunking import ChunkOptions, chunk
from trivec.search.long_documents import LongDocuments
from trivec.types import Document, Head, Passage, join_title

_SPARE = 2
"""Tokens kept free: the seams between prompt, title and text may tokenise differently from the parts."""


@dataclass(frozen=True)
class PassageSplitter:
    """Cuts documents for one encoder.

    Attributes:
        window: tokens that title and text of a passage may have together.
        overlap_tokens: how far a passage reaches back into the one before.
        long_documents: how long passages are, and how they are encoded.
    """

    tokenizer: TextTokenizer
    window: int
    overlap_tokens: int = 0
    long_documents: LongDocuments = field(default_factory=LongDocuments)

    @classmethod
    def for_encoder(
        cls, encoder: Encoder, overlap_tokens: int = 0, long_documents: LongDocuments | None = None
    ) -> PassageSplitter:
        """A splitter whose passages the encoder never has to cut."""
        long_documents = long_documents or LongDocuments()
        used = len(encoder.tokenizer.pieces([encoder.checkpoint.document_prompt])[0].ids) + _SPARE
        return cls(encoder.tokenizer, long_documents.window(encoder) - used, overlap_tokens, long_documents)

    def split(self, document: Document) -> list[Passage]:
        """The passages of a document; there is always at least one."""
        document = _clean(document)
        title = self.encoded_title(document.title)
        room = self.long_documents.room(self.window - (len(self.tokenizer.pieces([title])[0].ids) if title else 0))
        chunks = chunk(document.text, self.tokenizer, ChunkOptions(room, min(self.overlap_tokens, room // 2)))
        digest = content_hash(document)
        return [
            Passage(
                document_id=document.id,
                text=document.text[piece.start : piece.end],
                title=document.title,
                metadata=document.metadata,
                number=number,
                count=len(chunks),
                start=piece.start,
                end=piece.end,
                content_hash=digest,
            )
            for number, piece in enumerate(chunks)
        ]

    def encode(
        self, encoder: Encoder, passages: Sequence[Passage], heads: Collection[Head] | None = None
    ) -> Embeddings:
        """The vectors of passages, in order; all passages of a document must be among them, side by side."""
        return self.long_documents.encode(encoder, self, passages, heads)

    def content(self, passage: Passage) -> str:
        """What is encoded for a passage: its title, cut if need be, and its text."""
        return join_title(self.encoded_title(passage.title), passage.text)

    def encoded_title(self, title: str) -> str:
        """The part of a title that fits a quarter of the window."""
        encoding = self.tokenizer.pieces([title])[0] if len(title) > self.window // 4 else None
        if encoding is None or len(encoding.ids) <= self.window // 4:
            return title
        return title[: encoding.offsets[self.window // 4 - 1][1]]


def join_passages(passages: Sequence[Passage]) -> Document:
    """The document that was cut into these passages, in order of their numbers."""
    text = ""
    for passage in passages:
        text = text[: passage.start] + passage.text
    first = passages[0]
    return Document(first.document_id, text, first.title, first.metadata)


def content_hash(document: Document) -> str:
    """Tells whether a document has changed: title, text and metadata."""
    content = json.dumps([document.title, document.text, dict(document.metadata)], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _clean(document: Document) -> Document:
    return Document(document.id, clean_text(document.text), clean_text(document.title), document.metadata)
