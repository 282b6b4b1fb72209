"""From examples to padded ids: what a training step takes.

Texts that occur several times in a batch are encoded once; `TrainBatch.encode` puts their vectors wherever they
belong. Passages known to answer another query of the batch are marked, so that they do not count as its negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from trivec.data.examples import Example
from trivec.encode.pipeline import pad
from trivec.encode.tokenizer import TextTokenizer, TokenizedText
from trivec.errors import InputError
from trivec.train.draws import GroupDraws
from trivec.train.sampling import Group
from trivec.train.segment_shuffle import SegmentShuffle
from trivec.train.vectors import NO_TOKEN

Text = TypeVar("Text", bound=Hashable)


@dataclass(frozen=True, eq=False, slots=True)
class TokenBatch:
    """n texts as ids.

    Attributes:
        ids: (n, L) int64, right-padded to the longest.
        mask: (n, L) int64, 1 for real tokens.
        prompt_lengths: (n,) int64, tokens of the prompt behind the first special token.
        term_places: (n, K) int64, the tokens that weigh for ``terms``; None where each weighs for its own id.
        terms: (n, K) int64, padded with `NO_TOKEN`.
    """

    ids: Tensor
    mask: Tensor
    prompt_lengths: Tensor
    term_places: Tensor | None = None
    terms: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """(n,), tokens of each text."""
        return self.mask.sum(dim=1)

    @property
    def padded_share(self) -> float:
        """How much of the batch is padding, from 0 to 1."""
        return 1 - float(self.mask.sum()) / max(1, self.mask.numel())

    def rows(self, rows: Tensor) -> TokenBatch:
        """Some of the texts, padded to the longest of them."""
        mask = self.mask[rows]
        longest = int(mask.sum(dim=1).max()) if len(mask) else 0
        places, terms = (None if part is None else part[rows] for part in (self.term_places, self.terms))
        return TokenBatch(self.ids[rows][:, :longest], mask[:, :longest], self.prompt_lengths[rows], places, terms)

    def to(self, device: torch.device | str) -> TokenBatch:
        """The batch on another device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> TokenBatch:
        """The batch in memory that a GPU reads directly."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> TokenBatch:
        ids, mask, prompts = (change(part) for part in (self.ids, self.mask, self.prompt_lengths))
        places, terms = (None if part is None else change(part) for part in (self.term_places, self.terms))
        return TokenBatch(ids, mask, prompts, places, terms)


@dataclass(frozen=True, eq=False, slots=True)
class TrainBatch:
    """B queries with G passages each, every different text once.

    Attributes:
        queries: the different queries.
        passages: the different passages.
        query_rows: (B,), the row of ``queries`` of each query.
        passage_rows: (B * G,), the row of ``passages`` of each passage; those of query b are b * G to b * G + G - 1,
            the positive first.
        group_size: G.
        in_batch_negatives: whether passages of other queries are negatives.
        teacher_scores: (B, G) float32, or None if a group lacks them.
        duplicates: (B, B * G) bool, True at passages of other groups that are no negatives of the query: one of its
            positives, or the positive of the same query. None if there are none.
    """

    queries: TokenBatch
    passages: TokenBatch
    query_rows: Tensor
    passage_rows: Tensor
    group_size: int
    in_batch_negatives: bool = True
    teacher_scores: Tensor | None = None
    duplicates: Tensor | None = None

    def __len__(self) -> int:
        """B."""
        return len(self.query_rows)

    @property
    def sides(self) -> tuple[TokenBatch, ...]:
        """All texts."""
        return self.queries, self.passages

    def to(self, device: torch.device | str) -> TrainBatch:
        """The batch on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("queries", "passages", "query_rows", "passage_rows")}
        for name in ("teacher_scores", "duplicates"):
            tensor = getattr(self, name)
            moved[name] = None if tensor is None else tensor.to(device, non_blocking=True)
        return replace(self, **moved)


@dataclass(frozen=True)
class CollateOptions:
    """How groups are drawn and how texts become ids.

    Attributes:
        group_size: passages a query at most, the positive among them.
        query_length: tokens of a query at most, prompt and special tokens included.
        passage_length: the same for passages.
        query_prompt: stands before queries whose example has none of its own.
        document_prompt: stands before passages, unless their example wants the query's prompt there.
        shuffle: of segments of passages.
        seed: of all draws.
        marks_duplicates: mark passages that another query of the batch is known to be answered by.
    """

    group_size: int = 8
    query_length: int = 64
    passage_length: int = 256
    query_prompt: str = ""
    document_prompt: str = ""
    shuffle: SegmentShuffle = field(default_factory=SegmentShuffle)
    seed: int = 0
    marks_duplicates: bool = True


class Collator:
    """Makes a `TrainBatch` of examples. What it draws for an example depends on seed, epoch and number alone."""

    def __init__(self, tokenizer: TextTokenizer, pad_id: int, options: CollateOptions) -> None:
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._options = options
        self._draw = GroupDraws(options.group_size, options.shuffle, options.seed)

    def __call__(self, examples: Sequence[Example], numbers: Sequence[int], epoch: int = 0) -> TrainBatch:
        """One batch.

        Args:
            examples: of one source, as the plan has it.
            numbers: of the examples in the data set.
            epoch: changes what is drawn.

        Raises:
            InputError: the examples have groups of different sizes, or some want negatives from the batch and some
                do not.
        """
        groups = [self._draw(*pair, epoch) for pair in zip(examples, numbers, strict=True)]
        group_size = one_group_size(groups)
        in_batch = _only({example.in_batch_negatives for example in examples}, "with and without in-batch negatives")
        prompts = [self._options.query_prompt if group.prompt is None else group.prompt for group in groups]
        queries = [(prompt, group.query) for prompt, group in zip(prompts, groups, strict=True)]
        beside = [
            prompt if example.prompts_passages else self._options.document_prompt
            for example, prompt in zip(examples, prompts, strict=True)
        ]
        passages = [
            (prompt, passage) for prompt, group in zip(beside, groups, strict=True) for passage in group.passages
        ]
        return TrainBatch(
            *self._batches(queries, passages),
            group_size=group_size,
            in_batch_negatives=bool(in_batch),
            teacher_scores=stacked_scores(groups),
            duplicates=_duplicates(examples, groups) if in_batch and self._options.marks_duplicates else None,
        )

    def texts(self, texts: Sequence[str], prompt: str, max_length: int) -> TokenBatch:
        """Any texts as ids, in order."""
        return self._pad(self._tokenizer.tokenize(texts, max_length, prompt, with_terms=True))

    def _batches(
        self, queries: Sequence[tuple[str, str]], passages: Sequence[tuple[str, str]]
    ) -> tuple[TokenBatch, TokenBatch, Tensor, Tensor]:
        queries_once, query_rows = different(queries)
        passages_once, passage_rows = different(passages)
        return (
            self._pad(self._tokenize(queries_once, self._options.query_length)),
            self._pad(self._tokenize(passages_once, self._options.passage_length)),
            query_rows,
            passage_rows,
        )

    def _tokenize(self, texts: Sequence[tuple[str, str]], max_length: int) -> list[TokenizedText]:
        """Ids of (prompt, text), one call for each prompt."""
        tokenized: dict[int, TokenizedText] = {}
        for prompt in dict.fromkeys(prompt for prompt, _ in texts):
            rows = [row for row, (own, _) in enumerate(texts) if own == prompt]
            ids = self._tokenizer.tokenize([texts[row][1] for row in rows], max_length, prompt, with_terms=True)
            tokenized |= dict(zip(rows, ids, strict=True))
        return [tokenized[row] for row in range(len(texts))]

    def _pad(self, texts: Sequence[TokenizedText]) -> TokenBatch:
        ids, mask = pad([np.asarray(text.ids, np.int64) for text in texts], self._pad_id)
        prompts = torch.tensor([text.prompt_tokens for text in texts], dtype=torch.int64)
        terms = _pad_terms(texts, self._tokenizer) if self._tokenizer.sparse_terms == "folded" else (None, None)
        return TokenBatch(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), prompts, *terms)


def _pad_terms(texts: Sequence[TokenizedText], tokenizer: TextTokenizer) -> tuple[Tensor, Tensor]:
    """Places, counted from the first token of all, and terms, both (n, K)."""
    pairs = [(1 + text.prompt_tokens + text.terms.places, text.terms.ids) for text in texts if text.terms is not None]
    shape = len(texts), max(len(ids) for _, ids in pairs)
    all_places, terms = np.zeros(shape, np.int64), np.full(shape, NO_TOKEN, np.int64)
    for row, (places, ids) in enumerate(pairs):
        all_places[row, : len(ids)], terms[row, : len(ids)] = places, ids
    terms[np.isin(terms, list(tokenizer.weightless_ids))] = NO_TOKEN
    return torch.from_numpy(all_places), torch.from_numpy(terms)


def one_group_size(groups: Sequence[Group]) -> int:
    """G.

    Raises:
        InputError: the groups have different sizes.
    """
    return _only({len(group.passages) for group in groups}, "groups of different sizes")


def stacked_scores(groups: Sequence[Group]) -> Tensor | None:
    """Teacher scores (B, G), or None if a group lacks them."""
    scores = [group.teacher_scores for group in groups]
    return None if None in scores else torch.tensor(scores, dtype=torch.float32)


def different(texts: Sequence[Text]) -> tuple[list[Text], Tensor]:
    """The different texts, and which of them stands where."""
    rows: dict[Text, int] = {}
    places = [rows.setdefault(text, len(rows)) for text in texts]
    return list(rows), torch.tensor(places, dtype=torch.int64)


def _duplicates(examples: Sequence[Example], groups: Sequence[Group]) -> Tensor | None:
    """Entries (B, B * G) of passages that another example of the batch knows to answer its query."""
    size = len(groups[0].passages)
    places: dict[str, list[int]] = {}
    for place, passage in enumerate(passage for group in groups for passage in group.passages):
        places.setdefault(passage, []).append(place)
    right = _right_passages(examples, groups)
    found = [
        (row, place)
        for row, example in enumerate(examples)
        for passage in right[example.query]
        for place in places.get(passage, ())
        if place // size != row
    ]
    if not found:
        return None
    marked = torch.zeros(len(groups), len(groups) * size, dtype=torch.bool)
    marked[tuple(torch.tensor(found).T)] = True
    return marked


def _right_passages(examples: Sequence[Example], groups: Sequence[Group]) -> Mapping[str, set[str]]:
    """All that answers each query, as far as the batch knows; a positive with shuffled segments among it."""
    right: dict[str, set[str]] = {}
    for example, group in zip(examples, groups, strict=True):
        right.setdefault(example.query, set()).update((*example.positives, group.passages[0]))
    return right


def _only(values: set[int] | set[bool], what: str) -> int:
    if len(values) != 1:
        raise InputError(f"a batch holds examples {what} ({sorted(values)}): give them different sources in the plan")
    return int(values.pop())
