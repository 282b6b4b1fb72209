"""`Encoder`: text in, `Embeddings` out. Runtime and layout are passed in; nothing here knows torch."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.export import Layout, export_checkpoint
from trivec.encode.checkpoints.plain import pad_id
from trivec.encode.collected import Collected
from trivec.encode.lexical import count_terms, sparse_rows
from trivec.encode.long_text import LongText, describe_further, encode_long_texts
from trivec.encode.options import EncodeOptions as EncodeOptions
from trivec.encode.options import Job
from trivec.encode.pipeline import forward_batches, one_ahead
from trivec.encode.pipeline import pad as pad
from trivec.encode.runtime import Runtime
from trivec.encode.tokenizer import TextTokenizer, TokenizedText, clean_text, fold_case
from trivec.errors import InputError, MissingHeadError
from trivec.fingerprint import Fingerprint
from trivec.progress import Progress
from trivec.types import HEADS, FloatArray, Head

logger = logging.getLogger(__name__)

_WINDOW = 2048
"""Texts tokenised and sorted together; bounds memory for endless iterables."""


class Encoder:
    """Gives dense, sparse and multi-vectors, and term counts, in one forward pass per text.

    Each text is forwarded exactly once, and its vectors do not depend on what else is encoded with it. A text
    longer than ``max_length`` tokens is cut (a library cuts documents into passages before that), unless
    ``long_text`` says otherwise. Special tokens spelled out inside a text are text.

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
        self.pad_id = pad_id(checkpoint)

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

    def shortened(self, max_length: int) -> Encoder:
        """The same model, for texts of fewer tokens; its vectors have a fingerprint of their own.

        Raises:
            InputError: the model has no room for so many.
        """
        length = self._check_length(max_length)
        checkpoint = replace(self.checkpoint, max_length=length)
        return Encoder(checkpoint, self.runtime, self.tokenizer, replace(self.fingerprint, max_length=length))

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
        long_text: LongText = "cut",
    ) -> Embeddings:
        """Encode with the model's document prompt. See `encode`."""
        return self.encode(texts, heads, self.checkpoint.document_prompt, max_length, batch_tokens, progress, long_text)

    def encode(
        self,
        texts: str | Iterable[str],
        heads: Collection[Head] | None = None,
        prompt: str = "",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        progress: bool = False,
        long_text: LongText = "cut",
    ) -> Embeddings:
        """Encode texts, in order.

        Args:
            texts: any iterable of strings, also an empty one; one string counts as one text.
            heads: which vectors to make; None makes all that the model has.
            prompt: put before every text, byte for byte.
            max_length: tokens per text, special tokens and prompt included; None is the model's own.
            batch_tokens: padded tokens a batch; None is what the runtime likes best.
            progress: show a bar on standard error.
            long_text: what becomes of a text longer than ``max_length``: ``cut``, ``windows`` or ``mcls``. `stream`
                takes all options.

        Raises:
            MissingHeadError: the model lacks a head that was asked for.
            InputError: something in ``texts`` is not a string, or an option is out of range.
        """
        options = EncodeOptions(heads, max_length, batch_tokens, progress, long_text)
        parts = list(self.stream(texts, prompt, options))
        return parts[0] if len(parts) == 1 else Embeddings.concatenate(parts)

    def stream(self, texts: str | Iterable[str], prompt: str, options: EncodeOptions) -> Iterator[Embeddings]:
        """Encode an iterable of any length in bounded memory, some thousands of texts at a time.

        There is always at least one part, so that an empty iterable still has widths.
        """
        if not isinstance(texts, Iterable):
            raise InputError(f"texts must be an iterable of strings, got {type(texts).__name__} {texts!r:.60}")
        job = self._plan(prompt, options)
        source = iter([texts] if isinstance(texts, str) else texts)
        total = len(texts) if isinstance(texts, Sequence) and not isinstance(texts, str) else None
        with Progress("encoding", "texts", options.progress, total) as bar:
            if job.long_text.method == "cut":
                for prepared in one_ahead(lambda window: self._prepare(window, job), _windows(source)):
                    yield self._encode_prepared(prepared, job, bar)
            else:
                for window in _windows(source):
                    yield encode_long_texts(self, window, job, bar, plain=self._encode_window)

    def _plan(self, prompt: str, options: EncodeOptions) -> Job:
        max_length = self._check_length(options.max_length)
        long_text = options.long_text_options()
        long_text.check_model(self.checkpoint)
        return Job(
            heads=self.check_heads(options.heads),
            prompt=prompt,
            max_length=max_length,
            batch_tokens=options.batch_tokens or self.runtime.batch_tokens,
            fingerprint=self._fingerprint_with(prompt, max_length, long_text.description),
            long_text=long_text,
        )

    def _encode_window(self, texts: Sequence[str], job: Job, bar: Progress) -> Embeddings:
        return self._encode_prepared(self._prepare(texts, job), job, bar)

    def _prepare(self, texts: Sequence[str], job: Job) -> _Prepared:
        terms = self.count_terms(texts) if "terms" in job.heads else None
        if job.heads == ("terms",):
            return _Prepared(len(texts), [], terms)
        tokenized = self.tokenizer.tokenize(texts, job.max_length, job.prompt, "sparse" in job.heads)
        return _Prepared(len(texts), tokenized, terms)

    def _encode_prepared(self, texts: _Prepared, job: Job, bar: Progress) -> Embeddings:
        if job.heads == ("terms",):
            bar.update(texts.count)
            return Embeddings(terms=texts.terms, fingerprint=job.fingerprint)
        _report_cut(texts.tokenized, job.max_length)
        ids = [np.asarray(text.ids, np.int64) for text in texts.tokenized]
        collected = Collected(texts.tokenized, self.checkpoint, job.heads)
        for batch, outputs in forward_batches(self.runtime, ids, self.pad_id, job.heads, job.batch_tokens):
            collected.add(batch, outputs)
            bar.update(len(batch))
        return Embeddings(
            dense=collected.dense,
            sparse=self._sparse(texts.tokenized, collected.weights) if "sparse" in job.heads else None,
            multi=collected.multi,
            terms=texts.terms,
            fingerprint=job.fingerprint,
        )

    def count_terms(self, texts: Sequence[str]) -> sp.csr_array:
        """Subword counts of the lower-cased, uncut texts without prompt or special tokens: the input of BM25."""
        encodings = self.tokenizer.pieces([fold_case(clean_text(text)) for text in texts])
        ids = [np.asarray(encoding.ids, np.int64) for encoding in encodings]
        return count_terms(ids, self.tokenizer.vocabulary_size, self.tokenizer.weightless_ids)

    def _sparse(self, texts: Sequence[TokenizedText], weights: Sequence[FloatArray]) -> sp.csr_array:
        own = [row[1 + text.prompt_tokens :] for text, row in zip(texts, weights, strict=True)]
        return sparse_rows([text.terms for text in texts], own, self.tokenizer)

    def check_heads(self, heads: Collection[Head] | None) -> tuple[Head, ...]:
        """Heads in their usual order; None is all that the model has.

        Raises:
            MissingHeadError: the model lacks one of them.
        """
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

    def _fingerprint_with(self, prompt: str, max_length: int, long_text: str) -> Fingerprint:
        """The model's fingerprint, changed where a call departs from the model's own settings."""
        fingerprint = self.fingerprint
        if prompt not in (fingerprint.query_prompt, fingerprint.document_prompt):
            fingerprint = replace(fingerprint, query_prompt=prompt, document_prompt=prompt)
        return replace(describe_further(fingerprint, long_text), max_length=max_length)


@dataclass(frozen=True)
class _Prepared:
    """A window of ``count`` texts before the forward pass."""

    count: int
    tokenized: Sequence[TokenizedText]
    terms: sp.csr_array | None


def _windows(source: Iterator[str]) -> Iterator[list[str]]:
    """Lists of some thousands of texts; at least one list."""
    first = True
    while (window := list(itertools.islice(source, _WINDOW))) or first:
        first = False
        yield window


def _report_cut(tokenized: Sequence[TokenizedText], max_length: int) -> None:
    cut = sum(text.full_length > max_length for text in tokenized)
    if cut:
        logger.warning("%d of %d texts are longer than %d tokens and were cut there", cut, len(tokenized), max_length)


def _advice(head: str) -> str:
    if head == "multi":
        return "load it with training_free_width=128 for late interaction without training"
    if head == "sparse":
        return "search by bm25 instead, or take a model that has the head, such as m3-small"
    return "ask for one of these"
