r"""Rows for language models that judge a pair: query, document and a question about them, token for token as published.

    BOS "A: " query "\n" "B: " document "\n" prompt

No end token follows. ``A: query``, ``B: document``, the separator and the prompt are split into tokens one by one, and
their ids are joined: other ids would be right for other weights. (A tokenizer that puts a blank before every text, such
as Llama's, gives the separator two tokens.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivec.encode.checkpoints import plain
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.cutting import cut_pairs
from trivec.rerank.layered_types import GEMMA
from trivec.rerank.reranker import Pair
from trivec.types import IntArray

QUERY_MARK, DOCUMENT_MARK, SEPARATOR = "A: ", "B: ", "\n"

YES_OR_NO = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
"""What bge-reranker-v2-gemma and -v2-minicpm-layerwise are asked."""

PREDICT = "Predict whether passage B contains an answer to query A."
"""What bge-reranker-v2.5-gemma2-lightweight is asked."""


def published_prompt(model_type: str) -> str:
    """What models of a type were published with."""
    return PREDICT if model_type == GEMMA else YES_OR_NO


@dataclass(frozen=True, slots=True)
class PromptRow:
    """Token ids of a pair, in three parts.

    Attributes:
        query: BOS, the query with its mark, and the separator: the same for all documents of a query.
        document: the document with its mark.
        prompt: the separator and the prompt: the same in all rows.
    """

    query: tuple[int, ...]
    document: tuple[int, ...]
    prompt: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.query) + len(self.document) + len(self.prompt)

    @property
    def ids(self) -> IntArray:
        """The whole row."""
        return np.asarray(self.query + self.document + self.prompt, np.int64)

    @property
    def rest(self) -> IntArray:
        """What follows the query's part."""
        return np.asarray(self.document + self.prompt, np.int64)


class PromptTokens:
    """Makes rows of pairs.

    Only texts are cut, and the document before the query: marks at their beginning, separators and the prompt stay.

    Args:
        tokenizer: that of the model.
        prompt: what the model is asked.
        max_length: tokens of a row, all of them. The published code lets separators and prompt come on top of its
            ``max_length``, and twice.
        query_length: tokens of a query at most, its mark included; None is three quarters of ``max_length``.
        begin: id of BOS, or None; see `begin_token`.

    Raises:
        InputError: the lengths leave no room for a query and a document.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        prompt: str,
        max_length: int,
        query_length: int | None = None,
        begin: int | None = None,
    ) -> None:
        separator, asked = (tuple(encoding.ids) for encoding in tokenizer.pieces([SEPARATOR, prompt]))
        self._tokenizer = tokenizer
        self._begin = () if begin is None else (begin,)
        self._separator = separator
        self._prompt = separator + asked
        room = max_length - len(self._begin) - len(separator) - len(self._prompt)
        query_length = 3 * max_length // 4 if query_length is None else query_length
        if query_length < 1 or room < 2:
            raise InputError(
                f"max_length {max_length} with query_length {query_length} leaves no room for a query and a document "
                f"beside {max_length - room} tokens of the prompt"
            )
        self._room = room
        self._query_room = min(query_length, room - 1)

    @property
    def fixed(self) -> int:
        """Tokens of a row that are neither the query's nor the document's."""
        return len(self._begin) + len(self._separator) + len(self._prompt)

    @property
    def behind(self) -> int:
        """Tokens of a row that stand behind the document."""
        return len(self._prompt)

    def placed(self, pairs: Sequence[Pair]) -> tuple[list[IntArray], list[int]]:
        """Token ids of each pair, and how many of them stand before the document."""
        rows = self.rows(pairs)
        return [row.ids for row in rows], [len(row.query) for row in rows]

    def rows(self, pairs: Sequence[Pair]) -> list[PromptRow]:
        """One row a pair. What is cut is told in the log."""
        marked = [(QUERY_MARK + pair.query, DOCUMENT_MARK + pair.document) for pair in pairs]
        return [
            PromptRow((*self._begin, *query, *self._separator), tuple(document), self._prompt)
            for query, document in cut_pairs(self._tokenizer, marked, self._query_room, self._room)
        ]


def begin_token(folder: Path, tokenizer: TextTokenizer) -> int | None:
    """Id of the token that begins a row: the model's BOS, unless it has none or uses it as padding too."""
    begin, padding = (_named(folder, tokenizer, name) for name in ("bos_token", "pad_token"))
    return None if begin == padding else begin


def _named(folder: Path, tokenizer: TextTokenizer, name: str) -> int | None:
    """Id of a special token by its name; the first file that speaks of it decides."""
    for path in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        content = plain.read_json(path) if path.is_file() else {}
        if name in content:
            token = content[name]
            token = token.get("content") if isinstance(token, dict) else token
            return None if token is None else tokenizer.id_of(str(token))
    number = plain.read_json(folder / plain.CONFIG_FILE).get(f"{name}_id")
    return number if type(number) is int else None
