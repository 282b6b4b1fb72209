"""MCLS: long texts by several CLS tokens (M3-Embedding, Chen et al. 2024, 2402.03216, section 3.4).

A CLS token is put before every ``period`` tokens of the text, the encoder runs once over all of it, and the dense
vector is the mean of the final states of all CLS tokens:

    CLS t_1 .. t_256 CLS t_257 .. t_512 .. EOS       e = head(mean over all CLS of h_i), divided by its length

Positions run on through the inserted tokens, which count towards the model's length. A text of at most ``period``
tokens has one CLS, and so exactly the plain vector. Sparse weights and multi-vectors pass over the inserted tokens.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.encode.dense_head import dense_vectors
from trivec.encode.lexical import sparse_rows
from trivec.encode.pipeline import forward_rows
from trivec.encode.tokenizer import TokenizedText
from trivec.ragged import Ragged
from trivec.types import FloatArray, IntArray

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder
    from trivec.encode.options import Job
    from trivec.progress import Progress

logger = logging.getLogger(__name__)


def most_tokens(room: int, period: int) -> int:
    """How many tokens of text fit into ``room`` tokens together with their CLS tokens."""
    return room - math.ceil(room / (period + 1))


def insert_cls(content: NDArray[np.int64], cls: int, period: int) -> tuple[NDArray[np.int64], IntArray, IntArray]:
    """Put a CLS token before every ``period`` tokens; there is always one.

    Returns:
        The new ids, the places of CLS tokens in them, and the places of the others.
    """
    starts = np.arange(0, max(1, len(content)), period)
    ids = np.insert(content, starts, cls)
    cls_places = starts + np.arange(len(starts))
    return ids, cls_places, np.setdiff1d(np.arange(len(ids)), cls_places)


def encode_mcls(encoder: Encoder, tokenized: Sequence[TokenizedText], job: Job, bar: Progress) -> Embeddings:
    """Encode uncut texts with CLS tokens inserted; terms are left to the caller.

    What does not fit the model's length together with the inserted tokens is cut, and a warning is logged.
    """
    texts = [_Text(text, encoder, job) for text in tokenized]
    _report_cut(texts, job.max_length)
    heads = tuple(head for head in job.heads if head != "dense")
    dense = np.zeros((len(texts), encoder.checkpoint.hidden_size), np.float32)
    weights: list[FloatArray] = [np.zeros(0, np.float32)] * len(texts)
    vectors = [np.zeros((0, encoder.checkpoint.multi_width or 0), np.float32)] * len(texts)
    ids = [text.ids for text in texts]
    for row, outputs in forward_rows(encoder, ids, heads, job.batch_tokens, states="dense" in job.heads):
        text = texts[row]
        if outputs.token_states is not None:
            dense[row] = outputs.token_states[text.cls_places].mean(axis=0)
        if outputs.token_weights is not None:
            weights[row] = outputs.token_weights[text.own_places]
        if outputs.token_vectors is not None:
            vectors[row] = outputs.token_vectors[text.own_places]
        bar.update(1)
    checkpoint = encoder.checkpoint
    return Embeddings(
        dense=dense_vectors(dense, checkpoint) if "dense" in job.heads else None,
        sparse=sparse_rows([text.terms for text in texts], weights, encoder.tokenizer) if "sparse" in heads else None,
        multi=Ragged.from_rows(vectors, checkpoint.multi_width) if "multi" in heads else None,
    )


class _Text:
    """One text with its CLS tokens: ids, where CLS stands, and where tokens stand that have vectors of their own."""

    def __init__(self, text: TokenizedText, encoder: Encoder, job: Job) -> None:
        ids = np.asarray(text.ids, np.int64)
        closing = encoder.tokenizer.closing_tokens
        content, after = ids[1 : len(ids) - closing], ids[len(ids) - closing :]
        most = most_tokens(job.max_length - closing, job.long_text.period)
        self.was_cut = len(content) > most
        opened, self.cls_places, others = insert_cls(content[:most], int(ids[0]), job.long_text.period)
        self.ids = np.concatenate([opened, after])
        self.terms = None if text.terms is None else text.terms.first(max(0, most - text.prompt_tokens))
        behind = np.arange(len(opened), len(self.ids))
        self.own_places: IntArray = np.concatenate([others[text.prompt_tokens :], behind])


def _report_cut(texts: Sequence[_Text], max_length: int) -> None:
    cut = sum(text.was_cut for text in texts)
    if cut:
        logger.warning(
            "%d of %d texts are longer than %d tokens with their CLS tokens and were cut there",
            cut, len(texts), max_length,
        )  # fmt: skip
