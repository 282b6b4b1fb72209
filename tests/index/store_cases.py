"""Small random collections, filters and queries, and the plain answers that a store must give for them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.index.bm25 import Bm25Options
from trivec.index.conditions import And, Comparison, Exists, Filter, Membership, Not, Or
from trivec.index.store import Store
from trivec.ragged import Ragged
from trivec.types import Passage, Signal

DENSE, MULTI, VOCABULARY = 3, 4, 12

MEMORY_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where hundreds of small stores are made quickly: syncing a disk takes most of their time."""

FIELDS = ["lang", "year", "a.b", 'qu"ote', "100%22", "", "x[0]", "back\\slash", "日付"]
TEXTS = ["", "de", "fr", "a b", 'say "hi"', "\\", "true", "1", "null", "é\n"]
TIMES = [
    "2024-01-31",
    "2024-01-31T00:00:00Z",
    "2024-01-31 01:30:00.5+02:00",
    "0001-01-01",
    "9999-12-31T23:59:59",
    "2024-1-1",
]
NUMBERS = [0, 1, 1.0, -1, 2000, 0.5, -0.0, 1e300, 2**53, 2**53 + 1, float(2**53), -(2**63), 2**63 - 1, 5e-324]

scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(TIMES), st.sampled_from(NUMBERS), st.booleans(), st.none())
metadata = st.dictionaries(
    st.sampled_from([*FIELDS, "id", "title"]), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4
)
passages = st.builds(
    Passage,
    document_id=st.sampled_from(["a", "b", "c", "2024-01-31", "ä/ö"]),
    text=st.sampled_from(["", "one two", "Zuckerrüben\x00"]),
    title=st.sampled_from(["", "de", "title"]),
    metadata=metadata,
    number=st.integers(0, 11),
    count=st.just(12),
    end=st.integers(0, 9),
    content_hash=st.just("0f"),
)


def _comparisons() -> st.SearchStrategy[Filter]:
    fields = st.sampled_from([*FIELDS, "id", "title", "nowhere"])
    orderable = st.one_of(st.sampled_from(TIMES[:-1]), st.sampled_from(NUMBERS))
    return st.one_of(
        st.builds(Comparison, fields, st.sampled_from(["=", "!="]), scalars),
        st.builds(Comparison, fields, st.sampled_from(["<", "<=", ">", ">="]), orderable),
        st.builds(Membership, fields, st.lists(scalars, max_size=3).map(tuple), st.sampled_from(["any", "all"])),
        st.builds(Exists, fields),
    )


def _joined(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, parts))


filters: st.SearchStrategy[Filter] = st.recursive(_comparisons(), _joined, max_leaves=4)


def embeddings(seed: int, texts: int) -> Embeddings:
    """Vectors whose values, products and sums are exact in half precision; some texts have no tokens or terms."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, texts)
    return Embeddings(
        dense=_grid(rng, (texts, DENSE)),
        sparse=sp.csr_array(np.maximum(_grid(rng, (texts, VOCABULARY)), 0)),
        multi=Ragged.from_rows([_tokens(rng, length) for length in lengths], MULTI),
        terms=sp.csr_array(
            rng.integers(0, 3, (texts, VOCABULARY)).clip(0, 1) * rng.integers(0, 4, (texts, 1)), dtype=np.float32
        ),
    )


def _grid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (rng.integers(-4, 5, shape) / 4).astype(np.float32)


def _tokens(rng: np.random.Generator, length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    tokens = _grid(rng, (length, MULTI))
    tokens[:, 0] += tokens[:, 0] == 0
    return tokens


@dataclass
class Model:
    """What a store should hold: every passage with the embeddings of its one text."""

    passages: dict[str, Passage]
    vectors: dict[str, Embeddings]

    def upsert(self, batch: Sequence[Passage], vectors: Embeddings) -> None:
        for passage, vector in zip(batch, vectors, strict=True):
            self.passages[passage.id] = passage
            self.vectors[passage.id] = vector

    def delete(self, ids: Sequence[str]) -> None:
        for name in ids:
            self.passages.pop(name, None)
            self.vectors.pop(name, None)

    def select(self, where: Filter | None) -> list[Passage]:
        chosen = [self.passages[name] for name in sorted(self.passages)]
        return [passage for passage in chosen if where is None or where.matches(passage)]

    def scores(self, signal: Signal, query: Embeddings) -> dict[str, float]:
        if signal == "bm25":
            counts = {name: dict_of(vector.terms) for name, vector in self.vectors.items()}
            return naive_bm25(dict_of(query.terms), counts, Bm25Options())
        scorer = {"dense": scoring.dense_scores, "sparse": scoring.sparse_scores, "multi": scoring.maxsim_scores}[
            signal
        ]
        return {name: float(scorer(query, vector)[0, 0]) for name, vector in self.vectors.items()}


def dict_of(matrix: sp.csr_array | None) -> dict[int, float]:
    assert matrix is not None
    return {int(term): float(count) for term, count in zip(matrix.indices, matrix.data, strict=True) if count}


def naive_bm25(
    query: Mapping[int, float], passages: Mapping[str, Mapping[int, float]], options: Bm25Options
) -> dict[str, float]:
    """The formula, in double precision, passage by passage."""
    average = sum(sum(counts.values()) for counts in passages.values()) / max(1, len(passages))
    scores = dict.fromkeys(passages, 0.0)
    for term, times in query.items():
        holders = [name for name, counts in passages.items() if term in counts]
        idf = math.log(1 + (len(passages) - len(holders) + 0.5) / (len(holders) + 0.5))
        for name in holders:
            tf = passages[name][term]
            length = sum(passages[name].values())
            scores[name] += times * idf * tf / (tf + options.k1 * (1 - options.b + options.b * length / average))
    return scores


def check_store(store: Store, model: Model, query: Embeddings, where: Filter | None, k: int) -> None:
    """Everything a store can be asked, against the model."""
    allowed = [passage.id for passage in model.select(where)]
    assert list(store.select(where)) == model.select(where)
    assert store.count(where) == len(allowed)
    assert store.fetch([*model.passages, "no such"]) == [*model.passages.values(), None]
    assert store.stats().passages == len(model.passages)
    for signal in store.signals:
        _check_signal(store, signal, model.scores(signal, query), query, where, k, allowed)
    if store.signals:
        _check_proposals(store, query, where, k)


def _check_proposals(store: Store, query: Embeddings, where: Filter | None, k: int) -> None:
    """What signals propose together, against what they find alone."""
    found = {signal: store.search(signal, query, k, where) for signal in store.signals}
    for complete in (True, False):
        proposals = store.propose(store.signals, query, k, where, complete)
        names = list(proposals.ids)
        assert sorted(names) == sorted({name for ranking in found.values() for name in ranking.ids})
        assert [proposals.ids[row] for row in range(len(names))] == names
        assert proposals.exhausted == all(len(ranking) < k for ranking in found.values())
        for signal, ranking in found.items():
            known = dict(zip(ranking.ids, ranking.scores.tolist(), strict=True))
            if complete:
                known = dict(zip(names, store.score(signal, query, names).tolist(), strict=True))
            expected = [known.get(name, np.nan) for name in names]
            np.testing.assert_array_equal(proposals.scores[signal], np.asarray(expected, np.float32))
            rows = np.arange(len(names))[::-1]
            scores = store.score(signal, query, [names[row] for row in rows])
            np.testing.assert_array_equal(proposals.score(signal, rows), scores)


def _check_signal(
    store: Store,
    signal: Signal,
    expected: Mapping[str, float],
    query: Embeddings,
    where: Filter | None,
    k: int,
    allowed: list[str],
) -> None:
    ids = [*reversed(expected), "no such"]
    np.testing.assert_allclose(store.score(signal, query, ids), [expected.get(name, 0) for name in ids], atol=1e-5)
    lexical = signal in ("sparse", "bm25")
    eligible = [name for name in allowed if expected[name] > 0 or not lexical]
    ranking = store.search(signal, query, k, where)
    if signal == "bm25":  # the order of scores that differ in the seventh digit is left open
        by_store = dict(zip(ids, store.score(signal, query, ids).tolist(), strict=True))
        expected = {name: by_store[name] for name in expected}
    best = sorted(eligible, key=lambda name: (-expected[name], name))[:k]
    assert ranking.ids == best, signal
    np.testing.assert_allclose(ranking.scores, [expected[name] for name in best], atol=1e-5)
