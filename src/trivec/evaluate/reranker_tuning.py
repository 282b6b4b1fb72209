"""`tune_reranker`: a reranker's calibration and the weight of the first stage, found on its user's own queries.

The first documents of each query are read once, and both are made of the same logits. What is told is the value by
cross-validation over queries, as `trivec.evaluate.tuning` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trivec.errors import InputError
from trivec.evaluate.calibrating import CrossCalibrated, JudgedLogits, cross_calibrate
from trivec.evaluate.choosing import folds_of, usable_queries
from trivec.evaluate.first_stage_weight import WeighedFirstStage, weigh_first_stage
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import Relevance
from trivec.evaluate.reading import DocumentReader, list_documents
from trivec.progress import Progress
from trivec.rerank.calibration import Method
from trivec.rerank.reranker import Reranker
from trivec.search.collection import Collection
from trivec.search.second_stage import TunedReranker

_LEAST_DEPTH = 10
"""As many as the measure sees."""


@dataclass(frozen=True)
class RerankerFindings:
    """What was found.

    Attributes:
        reranker: of which reranker.
        queries: on how many queries.
        depth: documents that it read for each.
        unjudged: pairs that nobody had judged, which count as wrong.
        calibrated: its calibration.
        weighed: the weight of the first stage.
    """

    reranker: Reranker
    queries: int
    depth: int
    unjudged: int
    calibrated: CrossCalibrated
    weighed: WeighedFirstStage

    @property
    def settings(self) -> TunedReranker:
        """As a library keeps them, with the evidence."""
        evidence = {"queries": self.queries, **self.weighed.evidence()}
        return TunedReranker(self.reranker.name, self.depth, self.weighed.weight, evidence)


def tune_reranker(
    library: Collection,
    reranker: Reranker | str,
    queries: Sequence[JudgedQuery],
    relevance: Relevance,
    depth: int | None = None,
    method: Method | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> RerankerFindings:
    """Find how a reranker's logits become probabilities, and how much the first stage should have to say beside it.

    Nothing is stored: `trivec.Reranker.keep_calibration` and `Collection.configure_reranker` do that.

    Args:
        library: is searched in its own way, without a reranker.
        reranker: itself, or its name or folder.
        queries: real ones, as they are asked; of more than a thousand a sample is taken.
        relevance: grades by query id and document id; above 0 is right, and what is not judged is wrong.
        depth: documents that are read for each query; None is as many as a search reads.
        method: of the calibration; None is what suits better.
        seed: of the folds and of random samples.
        show_progress: a bar on terminals.

    Raises:
        InputError: there are too few queries, or too few right or wrong documents among those that were read; or higher
            logits are no better.
    """
    if depth is not None and depth < _LEAST_DEPTH:
        raise InputError(f"depth must be at least {_LEAST_DEPTH}, the documents that nDCG@10 sees, got {depth}")
    queries = usable_queries(library, queries, relevance, seed)
    present = library.search_options
    second = library.second_stage(present.changed(reranker=library.known_reranker(reranker)))
    assert second is not None
    depth = max(second.depth, _LEAST_DEPTH) if depth is None else depth
    reader = DocumentReader(second.reranker)
    listed = list_documents(library, queries, present, depth)
    read = []
    with Progress("reading", "queries", show_progress, len(queries)) as bar:
        for one in reader.read(queries, listed):
            read.append(one)
            bar.update(1)
    grades = [relevance[query.id] for query in queries]
    judged = [
        JudgedLogits(one.logits, np.asarray([own.get(document, 0) > 0 for document in one.documents], bool))
        for one, own in zip(read, grades, strict=True)
    ]
    unjudged = sum(document not in own for one, own in zip(read, grades, strict=True) for document in one.documents)
    folds = folds_of(queries, seed)
    return RerankerFindings(
        reranker=second.reranker,
        queries=len(queries),
        depth=depth,
        unjudged=unjudged,
        calibrated=cross_calibrate(second.reranker, judged, folds, method, seed),
        weighed=weigh_first_stage(read, grades, folds, depth, second.first_stage, seed),
    )
