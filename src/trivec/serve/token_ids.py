"""Vectors of texts that come as token ids, as clients of OpenAI may send them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.embeddings import Embeddings
from trivec.encode.collected import Collected
from trivec.encode.encoder import Encoder
from trivec.encode.pipeline import forward_batches
from trivec.encode.tokenizer import TokenizedText
from trivec.serve.failures import BadRequest
from trivec.types import Head


def wrap_token_ids(encoder: Encoder, texts: Sequence[Sequence[int]], prompt: str) -> list[TokenizedText]:
    """Ids of the model's own tokenizer, without special tokens, as the model reads them: with these and the prompt.

    Raises:
        BadRequest: a number is no id of the model.
    """
    tokenizer = encoder.tokenizer
    (frame,) = tokenizer.tokenize([""], encoder.max_length)
    closing = frame.ids[len(frame.ids) - tokenizer.closing_tokens :]
    opening = frame.ids[: len(frame.ids) - tokenizer.closing_tokens]
    own: list[int] = tokenizer.pieces([prompt.rstrip()])[0].ids if prompt else []
    rows = []
    for ids in texts:
        wrong = next((number for number in ids if not 0 <= number < tokenizer.vocabulary_size), None)
        if wrong is not None:
            raise BadRequest(
                f"{wrong} is no token of {encoder.name}, which has {tokenizer.vocabulary_size}: send ids of its own "
                "tokenizer, or text",
                param="input",
            )
        full = [*opening, *own, *ids, *closing]
        room = encoder.max_length - len(closing)
        cut = full if len(full) <= encoder.max_length else [*full[:room], *closing]
        rows.append(TokenizedText(cut, len(own), len(full)))
    return rows


def encode_token_ids(encoder: Encoder, rows: Sequence[TokenizedText], heads: Sequence[Head]) -> Embeddings:
    """Dense and multi-vectors of rows that `wrap_token_ids` made."""
    ids = [np.asarray(row.ids, np.int64) for row in rows]
    collected = Collected(rows, encoder.checkpoint, heads)
    for batch, outputs in forward_batches(encoder.runtime, ids, encoder.pad_id, heads, encoder.runtime.batch_tokens):
        collected.add(batch, outputs)
    return Embeddings(dense=collected.dense, multi=collected.multi, fingerprint=encoder.fingerprint)
