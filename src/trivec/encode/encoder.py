"""`Encoder`: text in, `Embeddings` out. Runtime and layout are passed in; nothing here knows torch."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.encode.batches import plan_batches
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.export import Layout, export_checkpoint
from trivec.encode.checkpoints.plain import whole_number
from trivec.encode.lexical import count_terms, max_weights
from trivec.encode.runtime import HeadOutputs, Runtime
from trivec.encode.tokenizer import TextTokenizer, TokenizedText, clean_text, fold_case
from trivec.errors import InputError, MissingHeadError
from trivec.fingerprint import Fingerprint
from trivec.progress import Progress
from trivec.ragged import Ragged
from trivec.types import HEADS, FloatArray, Head

logger = logging.getLogger(__name__)

_WINDOW = 2048
"""Texts tokenised and sorted together; bounds memory for endless iterables."""


@dataclass(frozen=True)
class EncodeOptions:
    """How texts are encoded.

    Attributes:
        heads: which vectors to make; None makes all that the model has.
        max_length: tokens per text, special tokens and prompt included; None is the model's own.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.
        progress: show a bar on standard error.
    """

    heads: Collection[Head] | None = None
    max_length: int | None = None
    batch_tokens: int | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.heads is not None and isinstance(self.heads, str):
            raise InputError(f"heads must be a list such as ['dense', 'multi'], got the string {self.heads!r}")
        if self.heads is not None and not self.heads:
            raise InputError(f"heads is empty: ask for at least one of {', '.join(HEADS)}")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise InputError(f"batch_tokens must be at least 1, got {self.batch_tokens}")


class Encoder:
    """Gives dense, sparse and multi-vectors, and term counts, in one forward pass per text.

    Each text is forwarded exactly once, and its vectors do not depend on what else is encoded with it. A text
    longer than ``max_length`` tokens is cut (a library cuts documents into passages before that). Special
    tokens spelled out inside a text are text.

    Example:
        >>> encoder = trivec.load("m3-small")                                      # doctest: +SKIP
        >>> vectors = encoder.encode_documents(["Water boils at 100 °C."])          # doctest: +SKIP
        >>> vectors.dense.shape                                                    # doctest: +SKIP
        (1, 384)
    """

    def __init__(
        self, checkpoint: Checkpoint, runtime: Runtime, tokenizer: TextTokenizer, fingerprint: Fingerprint
    ) -> None:
        self.checkpoint = checkpoint
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self._pad_id = _pad_id(checkpoint)

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, heads={list(self.heads)}, {self.runtime.name})"

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.checkpoint.name

    @property
    def heads(self) -> tuple[Head, ...]:
        """The vectors that this model can give."""
        return tuple(head for head in HEADS if head in self.fingerprint.heads)

    @property
    def max_length(self) -> int:
        """The most tokens a text can have, special tokens and prompt included."""
        return self.checkpoint.max_length

    def save(self, folder: str | Path, layout: Layout = "trivec", pickled: bool = False) -> None:
        """Write the model as a new folder. See `trivec.encode.checkpoints.export.export_checkpoint`."""
        export_checkpoint(self.checkpoint, Path(folder), layout, pickled)

    def encode_queries(
        self,
        texts: str | Iterable[str],
        heads: Collection[Head] | None = None,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        progress: bool = False,
    ) -> Embeddings:
        """Encode with the model's query prompt. See `encode`."""
        return self.encode(texts, heads, self.checkpoint.query_prompt, max_length, batch_tokens, progress)

    def encode_documents(
        self,
        texts: str | Iterable[str],
        heads: Collection[Head] | None = None,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        progress: bool = False,
    ) -> Embeddings:
        """Encode with the model's document prompt. See `encode`."""
        return self.encode(texts, heads, self.checkpoint.document_prompt, max_length, batch_tokens, progress)

    def encode(
        self,
        texts: str | Iterable[str],
        heads: Collection[Head] | None = None,
        prompt: str = "",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        progress: bool = False,
    ) -> Embeddings:
        """Encode texts, in order.

        Args:
            texts: any iterable of strings, also an empty one; one string counts as one text.
            heads: which vectors to make; None makes all that the model has.
            prompt: put before every text, byte for byte.
            max_length: tokens per text, special tokens and prompt included; None is the model's own.
            batch_tokens: padded tokens a batch; None is what the runtime likes best.
            progress: show a bar on standard error.

        Raises:
            MissingHeadError: the model lacks a head that was asked for.
            InputError: something in ``texts`` is not a string, or an option is out of range.
        """
        parts = list(self.stream(texts, prompt, EncodeOptions(heads, max_length, batch_tokens, progress)))
        return Embeddings.concatenate(parts)

    def stream(self, texts: str | Iterable[str], prompt: str, options: EncodeOptions) -> Iterator[Embeddings]:
        """Encode an iterable of any length in bounded memory, some thousands of texts at a time.

        There is always at least one part, so that an empty iterable still has widths.
        """
        if not isinstance(texts, Iterable):
            raise InputError(f"texts must be an iterable of strings, got {type(texts).__name__} {texts!r:.60}")
        job = self._plan(prompt, options)
        source = iter([texts] if isinstance(texts, str) else texts)
        first = True
        total = len(texts) if isinstance(texts, Sequence) and not isinstance(texts, str) else None
        with Progress("encoding", "texts", options.progress, total) as bar:
            while (window := list(itertools.islice(source, _WINDOW))) or first:
                first = False
                yield self._encode_window(window, job, bar)

    def _plan(self, prompt: str, options: EncodeOptions) -> _Job:
        max_length = self._check_length(options.max_length)
        return _Job(
            heads=self._check_heads(options.heads),
            prompt=prompt,
            max_length=max_length,
            batch_tokens=options.batch_tokens or self.runtime.batch_tokens,
            fingerprint=self._fingerprint_with(prompt, max_length),
        )

    def _encode_window(self, texts: Sequence[str], job: _Job, bar: Progress) -> Embeddings:
        terms = self.count_terms(texts) if "terms" in job.heads else None
        if job.heads == ("terms",):
            bar.update(len(texts))
            return Embeddings(terms=terms, fingerprint=job.fingerprint)
        tokenized = self.tokenizer.tokenize(texts, job.max_length, job.prompt)
        _report_cut(tokenized, job.max_length)
        ids = [np.asarray(text.ids, np.int64) for text in tokenized]
        collected = _Collected.empty(tokenized, self.checkpoint)
        for batch in plan_batches([len(row) for row in ids], job.batch_tokens):
            padded, mask = pad([ids[row] for row in batch], self._pad_id)
            collected.add(batch, mask, self.runtime.forward(padded, mask, job.heads))
            bar.update(len(batch))
        width = self.checkpoint.multi_width
        return Embeddings(
            dense=collected.dense if "dense" in job.heads else None,
            sparse=self._sparse(ids, collected.weights) if "sparse" in job.heads else None,
            multi=Ragged.from_rows(collected.vectors, width) if "multi" in job.heads else None,
            terms=terms,
            fingerprint=job.fingerprint,
        )

    def count_terms(self, texts: Sequence[str]) -> sp.csr_array:
        """Subword counts of the lower-cased, uncut texts without prompt or special tokens: the input of BM25."""
        encodings = self.tokenizer.pieces([fold_case(clean_text(text)) for text in texts])
        ids = [np.asarray(encoding.ids, np.int64) for encoding in encodings]
        return count_terms(ids, self.tokenizer.vocabulary_size, self.tokenizer.weightless_ids)

    def _sparse(self, ids: Sequence[NDArray[np.int64]], weights: Sequence[FloatArray]) -> sp.csr_array:
        return max_weights(ids, weights, self.tokenizer.vocabulary_size, self.tokenizer.weightless_ids)

    def _check_heads(self, heads: Collection[Head] | None) -> tuple[Head, ...]:
        if heads is None:
            return self.heads
        for head in heads:
            if head not in self.heads:
                raise MissingHeadError(
                    f"{self.name} has no {head!r} head, only {', '.join(self.heads)}: {_advice(head)}"
                )
        return tuple(head for head in HEADS if head in heads)

    def _check_length(self, max_length: int | None) -> int:
        if max_length is None:
            return self.max_length
        if not 1 <= max_length <= self.max_length:
            raise InputError(f"max_length must lie between 1 and {self.max_length} for {self.name}, got {max_length}")
        return max_length

    def _fingerprint_with(self, prompt: str, max_length: int) -> Fingerprint:
        """The model's fingerprint, changed where a call departs from the model's own settings."""
        fingerprint = self.fingerprint
        if prompt not in (fingerprint.query_prompt, fingerprint.document_prompt):
            fingerprint = replace(fingerprint, query_prompt=prompt, document_prompt=prompt)
        return replace(fingerprint, max_length=max_length)


@dataclass(frozen=True)
class _Job:
    """`EncodeOptions` after checking, with the model's own settings filled in."""

    heads: tuple[Head, ...]
    prompt: str
    max_length: int
    batch_tokens: int
    fingerprint: Fingerprint


@dataclass
class _Collected:
    """Outputs of batches, put back in the order of the texts.

    CLS and the tokens of the prompt shape the dense vector only: they are no multi-vectors and weigh nothing.
    """

    dense: FloatArray
    weights: list[FloatArray]
    vectors: list[FloatArray]
    first: list[int]

    @classmethod
    def empty(cls, tokenized: Sequence[TokenizedText], checkpoint: Checkpoint) -> _Collected:
        none = [np.zeros(0, np.float32)] * len(tokenized)
        dense = np.zeros((len(tokenized), checkpoint.dense_width), np.float32)
        return cls(dense, none.copy(), none.copy(), [1 + text.prompt_tokens for text in tokenized])

    def add(self, batch: NDArray[np.int64], mask_BL: NDArray[np.int32], outputs: HeadOutputs) -> None:
        lengths = mask_BL.sum(axis=1)
        if outputs.dense is not None:
            self.dense[batch] = outputs.dense
        for place, (row, length) in enumerate(zip(batch, lengths, strict=True)):
            if outputs.token_weights is not None:
                self.weights[row] = outputs.token_weights[place, :length].copy()
                self.weights[row][: self.first[row]] = 0
            if outputs.token_vectors is not None:
                self.vectors[row] = outputs.token_vectors[place, self.first[row] : length].copy()


def pad(rows: Sequence[NDArray[np.int64]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Right-padded ids and their mask, both (B, L)."""
    lengths = np.asarray([len(row) for row in rows])
    mask = (np.arange(lengths.max())[None, :] < lengths[:, None]).astype(np.int32)
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask == 1] = np.concatenate(rows)
    return ids, mask


def _pad_id(checkpoint: Checkpoint) -> int:
    """The id that fills up short rows; it is masked, so any will do where the model names none."""
    named = {name: value for name, value in checkpoint.config.items() if value is not None}
    return whole_number(checkpoint.folder / "config.json", named, "pad_token_id", default=0, least=0)


def _report_cut(tokenized: Sequence[TokenizedText], max_length: int) -> None:
    cut = sum(text.full_length > max_length for text in tokenized)
    if cut:
        logger.warning("%d of %d texts are longer than %d tokens and were cut there", cut, len(tokenized), max_length)


def _advice(head: str) -> str:
    if head == "multi":
        return "load it with training_free_width=128 for late interaction without training"
    if head == "sparse":
        return "search by bm25 instead, or take a model that has the head, such as BAAI/bge-m3"
    return "ask for one of these"
