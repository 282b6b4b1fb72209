"""`write_bundle`: rankings for the leaderboard of AIR-Bench, which alone has the judgements of the test splits.

The bundle is a zip file with ``TASK/DOMAIN/LANGUAGE_DATASET_SPLIT.json`` for each set: whose rankings they are, of
which set, and under ``search_results`` the scores by query id and document id, as the benchmark's own tools write them
(Chen et al. 2024, 2412.13102).
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.layouts.air_bench import AirBenchSet, read_unjudged
from trivec.evaluate.measures import Ranking
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.ranked_sets import rank_set
from trivec.evaluate.systems import find_one
from trivec.search.long_documents import LongDocuments

DEPTH = 1000
"""Documents of a ranking, as the benchmark's own searches have it."""
_NO_RERANKER = "NoReranker"


@dataclass(frozen=True)
class BundleOptions:
    """What goes into a bundle.

    Attributes:
        name: whose rankings they are, as the leaderboard will show it.
        system: a name or weights, see `trivec.evaluate.systems`.
        split: whose queries, such as ``test``.
        long_documents: how documents become passages; each document counts by its best one.
        max_length: tokens that the model sees of a text; None is all it has room for.
    """

    name: str
    system: str = "hybrid"
    split: str = "test"
    long_documents: LongDocuments = field(default_factory=LongDocuments)
    max_length: int | None = None

    @property
    def ranking(self) -> EvaluateOptions:
        """How sets are ranked."""
        return EvaluateOptions(
            [self.system], [f"R@{DEPTH}"], long_documents=self.long_documents, max_length=self.max_length
        )


def write_bundle(
    encoder: Encoder,
    sets: Sequence[AirBenchSet],
    path: Path,
    options: BundleOptions,
    cache: Path | None = None,
    show_progress: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, int]:
    """Rank the sets, and write the bundle whole or not at all.

    Args:
        encoder: the model.
        sets: each once.
        path: of a new zip file.
        options: what goes into it.
        cache: folder that keeps vectors, so that a stopped run can be taken up.
        show_progress: a bar on terminals.
        report: told the name of each member when it is there.

    Returns:
        The number of queries by member of the bundle.

    Raises:
        InputError: the file exists, a set is named twice or cannot be read, or the model lacks a signal.
    """
    if path.exists():
        raise InputError(f"{path} exists: choose a new file, or remove it")
    find_one(options.system, encoder)
    members = [_member(one, options.split) for one in sets]
    if len(set(members)) < len(members):
        raise InputError(f"a set of AIR-Bench is named twice in {', '.join(members)}: name each once, of one version")
    queries: dict[str, int] = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as bundle:
            for one, member in zip(sets, members, strict=True):
                unjudged = read_unjudged(one, options.split)
                (rankings,) = rank_set(encoder, unjudged, options.ranking, cache, show_progress).rankings.values()
                bundle.writestr(member, json.dumps(_found(one, options, rankings), ensure_ascii=False))
                queries[member] = len(rankings)
                report(member)
        written.rename(path)
    return queries


def _member(one: AirBenchSet, split: str) -> str:
    return f"{one.task}/{one.domain}/{one.language}_{one.dataset}_{split}.json"


def _found(one: AirBenchSet, options: BundleOptions, rankings: Mapping[str, Ranking]) -> dict[str, object]:
    return {
        "model_name": options.name,
        "reranker_name": _NO_RERANKER,
        "benchmark_version": one.version,
        "task_type": one.task,
        "domain": one.domain,
        "language": one.language,
        "dataset_name": one.dataset,
        "split": options.split,
        "search_results": {query: dict(ranking) for query, ranking in rankings.items()},
    }
