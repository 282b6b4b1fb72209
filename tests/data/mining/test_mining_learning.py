"""What mining is for: a model learns more from mined negatives than from random ones, and more from filtered ones.

Texts have a topic and a detail, eight numbers each. A right passage shares both with its query; confusable passages
share the topic alone. The mining model sees the detail faintly. What is learned is one weight for the topic and one
for the detail, from InfoNCE over one positive and the negatives of its list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from planted import PlantedEncoder, inputs, read_rows, text_at

from trivec.data.mining import MiningOptions, mine

SEEDS = range(5)
TOPICS, CONFUSABLE, HALF = 24, 8, 8
FAINT = 0.5
Floats = NDArray[np.float64]


def unit(rng: np.random.Generator, *shape: int) -> Floats:
    values = rng.normal(size=(*shape, HALF))
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def world(seed: int, false_negatives: float = 0.0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Examples, and a corpus of right and confusable passages; so large a share of the latter is right, unlabelled."""
    rng = np.random.default_rng(seed)
    examples, corpus = [], []
    for topic, vector in enumerate(unit(rng, TOPICS)):
        details = unit(rng, 1 + CONFUSABLE)
        details[1 : 1 + round(false_negatives * CONFUSABLE)] = details[0]
        noisy = details + 0.05 * rng.normal(size=details.shape)
        passages = [text_at(f"{topic} {n}", *vector, *(FAINT * detail)) for n, detail in enumerate(noisy)]
        examples.append({"query": text_at(f"query {topic}", *vector, *(FAINT * details[0])), "pos": passages[:1]})
        corpus += [{"_id": f"{topic}-{n}", "text": text} for n, text in enumerate(passages)]
    return examples, corpus


def vector_of(text: str) -> Floats:
    return np.asarray(text.rpartition("|")[2].split(), np.float64)


def agreement(query: str, passages: list[str]) -> Floats:
    """How far topic and detail of passages agree with those of a query, (n, 2)."""
    products = np.asarray([vector_of(query) * vector_of(text) for text in passages])
    sums: Floats = products.reshape(len(passages), 2, HALF).sum(axis=2)
    return sums


def learned(rows: list[dict[str, Any]], steps: int = 200) -> Floats:
    """The two weights after gradient descent."""
    features = np.asarray([agreement(row["query"], [*row["pos"], *row["neg"]]) for row in rows])
    weights = np.ones(2)
    for _ in range(steps):
        scores = features @ weights / 0.2
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[:, 0] -= 1
        weights -= np.einsum("ng,ngw->w", shares, features) / len(rows)
    return weights


def quality(weights: Floats, seed: int) -> float:
    """The margin of right passages over the best confusable ones of a new world, in deviations of all scores."""
    examples, corpus = world(1000 + seed)
    texts = [row["text"] for row in corpus]
    scores = np.asarray([agreement(example["query"], texts) @ weights for example in examples])
    own = [row[n * (1 + CONFUSABLE) : (n + 1) * (1 + CONFUSABLE)] for n, row in enumerate(scores)]
    return float(np.mean([row[0] - row[1:].max() for row in own]) / scores.std())


def mined(folder: Path, seed: int, false_negatives: float, **options: Any) -> list[dict[str, Any]]:
    folder.mkdir()
    found = inputs(folder, *world(seed, false_negatives))
    settings = MiningOptions(ranks=(0, 1 + CONFUSABLE), negatives=5, near_duplicate=None, seed=seed, **options)
    mine(found, folder / "mined.jsonl", PlantedEncoder(), settings, allow_few=True)  # type: ignore[arg-type]
    return read_rows(folder / "mined.jsonl")


def randomly(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    examples, corpus = world(seed)
    return [{**example, "neg": [row["text"] for row in rng.choice(np.asarray(corpus), 5)]} for example in examples]


def interval(differences: list[float]) -> tuple[float, float]:
    """95 % of Student's t with four degrees of freedom."""
    half = 2.776 * float(np.std(differences, ddof=1)) / len(differences) ** 0.5
    return float(np.mean(differences)) - half, float(np.mean(differences)) + half


def test_mined_negatives_teach_more_than_random_ones(tmp_path: Path) -> None:
    differences = [
        quality(learned(mined(tmp_path / str(seed), seed, 0.0)), seed) - quality(learned(randomly(seed)), seed)
        for seed in SEEDS
    ]
    assert interval(differences)[0] > 0, differences


def test_with_unlabelled_answers_filtered_negatives_teach_more(tmp_path: Path) -> None:
    """Three in ten confusable passages are right."""
    differences = []
    for seed in SEEDS:
        filtered = mined(tmp_path / f"{seed}-filtered", seed, 0.3)
        everything = mined(tmp_path / f"{seed}-everything", seed, 0.3, percent=None)
        differences.append(quality(learned(filtered), seed) - quality(learned(everything), seed))
    assert interval(differences)[0] > 0, differences
