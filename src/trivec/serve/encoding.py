"""Texts to vectors, together with the texts of other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.serve.batcher import Batcher, Job
from trivec.serve.failures import BadRequest, TooLarge, Unusable
from trivec.serve.metrics import Metrics
from trivec.serve.options import Limits
from trivec.serve.token_ids import encode_token_ids, wrap_token_ids
from trivec.types import Head

Role: TypeAlias = Literal["query", "document", "none"]
"""Which prompt goes before a text: the model's for queries, its for documents, or none."""

Texts: TypeAlias = Sequence[str] | Sequence[Sequence[int]]
"""Texts, or their token ids."""

_INLINE_CHARACTERS = 4000
"""Fewer are tokenized at once: handing them to a thread takes longer."""
_URGENT_TOKENS = 8192
"""Queries with more of them at once wait with the documents."""


@dataclass(frozen=True)
class Encoded:
    """Vectors, and how many tokens the model read of each text."""

    vectors: Embeddings
    tokens: Sequence[int]


class Encoding:
    """Encodes for requests.

    Args:
        batcher: joins them.
        limits: of each request.
        metrics: are told of the tokenizing.
    """

    def __init__(self, batcher: Batcher, limits: Limits, metrics: Metrics) -> None:
        self._batcher = batcher
        self._limits = limits
        self._metrics = metrics

    async def encode(
        self,
        encoder: Encoder,
        texts: Texts,
        role: Role = "document",
        heads: Sequence[Head] | None = None,
        cut: bool = True,
    ) -> Encoded:
        """Vectors of texts, in order, the same as those of a direct call.

        Args:
            encoder: makes them.
            texts: or their token ids, without special tokens, which allow dense and multi-vectors alone.
            role: of the texts.
            heads: None is all that the model has.
            cut: cut texts that are longer than the model's window, instead of refusing them.

        Raises:
            TooLarge: there are too many texts or tokens.
            BadRequest: a text is longer than the window, and is not to be cut; or ids are none of the model.
            Unusable: heads that token ids do not allow.
            MissingHeadError: the model lacks one.
        """
        self.check_count(len(texts), "texts")
        chosen = encoder.check_heads(heads)
        prompt = prompt_of(encoder, role)
        if texts and not isinstance(texts[0], str):
            return await self._encode_ids(encoder, texts, prompt, chosen, cut)  # type: ignore[arg-type]
        words: Sequence[str] = texts  # type: ignore[assignment]
        tokens, full = await self._count(encoder, words, prompt)
        self._check_lengths(encoder, full, cut)
        self._check_tokens(tokens)

        def run(batch: Sequence[str]) -> Embeddings:
            return encoder.encode(batch, chosen, prompt)

        parts = await self._submit(("text", id(encoder), prompt, chosen), run, words, tokens, role)
        return Encoded(joined(parts), tokens)

    async def encode_queries(
        self, encoder: Encoder, key: Hashable, run: Callable[[Sequence[str]], Embeddings], queries: Sequence[str]
    ) -> Embeddings:
        """Vectors of queries by a function of the caller's; calls with equal keys are joined."""
        prompt = prompt_of(encoder, "query")
        tokens, _ = await self._count(encoder, queries, prompt)
        self._check_tokens(tokens)
        return joined(await self._submit(key, run, queries, tokens, "query"))

    def check_count(self, count: int, what: str) -> None:
        """Refuse too many.

        Raises:
            TooLarge: there are.
        """
        if count > self._limits.texts:
            raise TooLarge(
                f"{count} {what}, and a request may have {self._limits.texts}: send several", code="too_many"
            )

    async def _encode_ids(
        self, encoder: Encoder, ids: Sequence[Sequence[int]], prompt: str, heads: Sequence[Head], cut: bool
    ) -> Encoded:
        unable = [head for head in heads if head not in ("dense", "multi")]
        if unable:
            raise Unusable(
                f"token ids give dense and multi-vectors, not {', '.join(unable)}: send texts", param="heads"
            )
        rows = wrap_token_ids(encoder, ids, prompt)
        self._check_lengths(encoder, [row.full_length for row in rows], cut)
        tokens = [len(row.ids) for row in rows]
        self._check_tokens(tokens)

        def run(batch: Sequence[Any]) -> Embeddings:
            return encode_token_ids(encoder, batch, heads)

        key = ("ids", id(encoder), prompt, tuple(heads))
        return Encoded(joined(await self._submit(key, run, rows, tokens, "document")), tokens)

    async def _submit(
        self,
        key: Hashable,
        run: Callable[[Sequence[Any]], Any],
        items: Sequence[Any],
        tokens: Sequence[int],
        role: Role,
    ) -> list[Any]:
        urgent = role == "query" and sum(tokens) <= _URGENT_TOKENS
        job = Job("queries" if urgent else "documents", key, run, items, tokens)
        return await self._batcher.submit(job, self._limits.request_timeout_s)

    async def _count(self, encoder: Encoder, texts: Sequence[str], prompt: str) -> tuple[list[int], list[int]]:
        """How many tokens of each text the model reads, and how many there are."""
        for text in texts:
            if len(text) > self._limits.text_characters:
                raise TooLarge(
                    f"a text of {len(text)} characters, and {self._limits.text_characters} are allowed: cut it"
                )

        def count() -> tuple[list[int], list[int]]:
            rows = encoder.tokenizer.tokenize(texts, encoder.max_length, prompt)
            return [len(row.ids) for row in rows], [row.full_length for row in rows]

        with self._metrics.stage("tokenize"):
            if sum(map(len, texts)) < _INLINE_CHARACTERS:
                return count()
            return await asyncio.to_thread(count)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        if sum(tokens) > self._limits.tokens:
            raise TooLarge(f"{sum(tokens)} tokens, and a request may have {self._limits.tokens}: send several")

    def _check_lengths(self, encoder: Encoder, full: Sequence[int], cut: bool) -> None:
        longest = max(full, default=0)
        if not cut and longest > encoder.max_length:
            raise BadRequest(
                f"a text has {longest} tokens, and {encoder.name} reads {encoder.max_length}: shorten it, or send "
                "truncate as true to have it cut",
                code="context_length_exceeded",
            )


def prompt_of(encoder: Encoder, role: Role) -> str:
    """What is put before a text."""
    prompts = {"query": encoder.checkpoint.query_prompt, "document": encoder.checkpoint.document_prompt, "none": ""}
    return prompts[role]


def joined(parts: Sequence[Embeddings]) -> Embeddings:
    """Slices of batches as one."""
    return parts[0] if len(parts) == 1 else Embeddings.concatenate(parts)
