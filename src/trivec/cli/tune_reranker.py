"""``trivec tune --rerank``: a reranker's probabilities, and the weight of the first stage beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.cli.output import emit, print_facts, print_line
from trivec.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivec.cli.flags import OutputFlags
    from trivec.evaluate.judged_sets import JudgedQuery
    from trivec.evaluate.measures import Relevance
    from trivec.evaluate.reranker_tuning import RerankerFindings
    from trivec.evaluate.significance import Difference
    from trivec.rerank.calibration import Method
    from trivec.search.collection import Collection


def check(rerank: str | None, pseudo: int | None, depth: int | None, calibration: str | None) -> None:
    """Refuse options that contradict each other.

    Raises:
        InputError: naming them.
    """
    if rerank is None and (depth is not None or calibration is not None):
        raise InputError("--depth and --calibration are for a reranker: name one by --rerank")
    if rerank is not None and not rerank:
        raise InputError("--rerank is empty: give a reranker, by its name or folder")
    if rerank is not None and pseudo is not None:
        raise InputError(
            "--pseudo draws queries that nobody has judged, and --rerank needs judgements: give --queries and --qrels"
        )


def tune_reranker(
    library: Collection,
    rerank: str,
    queries: Sequence[JudgedQuery],
    relevance: Relevance,
    depth: int | None,
    method: Method | None,
    keep: bool,
    seed: int,
    output: OutputFlags,
) -> int:
    """Tune a reranker, store what is better beyond chance, or all if ``keep``, and tell it."""
    from trivec.evaluate.reranker_tuning import tune_reranker as find_best

    found = find_best(library, rerank, queries, relevance, depth, method, seed, output.progress)
    if found.unjudged:
        output.note(
            f"{found.unjudged:,} of {found.calibrated.pairs:,} documents that were read are not judged and count as "
            "wrong: where some of them are right, probabilities come out too low"
        )
    stored = _store(library, found, keep)
    emit(output, _result(found, stored) if output.as_json else None, lambda: _show(found, stored))
    return 0


@dataclass(frozen=True)
class _Stored:
    """What was stored: the calibration and where, the weight or not."""

    calibration: Path | None
    weight: bool


def _store(library: Collection, found: RerankerFindings, keep: bool) -> _Stored:
    calibrated, path = found.calibrated, None
    is_weight_stored = keep or found.weighed.is_better
    if keep or calibrated.is_better:
        evidence = {"queries": found.queries, "depth": found.depth, "unjudged": found.unjudged, **calibrated.evidence()}
        path = found.reranker.keep_calibration(calibrated.calibration, evidence)
    if is_weight_stored:
        library.configure_reranker(found.reranker, found.settings)
    return _Stored(path, is_weight_stored)


def _result(found: RerankerFindings, stored: _Stored) -> dict[str, Any]:
    path = None if stored.calibration is None else str(stored.calibration)
    return {
        "reranker": found.reranker.name,
        "queries": found.queries,
        "depth": found.depth,
        "unjudged": found.unjudged,
        "calibration": {**found.calibrated.evidence(), "stored": path},
        "first_stage": {**found.weighed.evidence(), "stored": stored.weight},
    }


def _show(found: RerankerFindings, stored: _Stored) -> None:
    calibrated, weighed = found.calibrated, found.weighed
    before, after = calibrated.before, calibrated.after
    print_facts(
        [
            ("measured on", f"{found.queries} queries, the first {found.depth} documents, five-fold cross-validation"),
            ("pairs", f"{calibrated.pairs:,}, {calibrated.right:,} of them right"),
            ("calibration", calibrated.calibration.method),
            ("log loss", f"{before.log_loss:.4f} to {after.log_loss:.4f}, {_change(calibrated.change)}"),
            ("Brier score", f"{before.brier:.4f} to {after.brier:.4f}"),
            ("calibration error", f"{before.calibration_error:.4f} to {after.calibration_error:.4f}"),
        ]
    )
    print_line([(_calibration_verdict(stored), "bold")])
    print_line()
    print_facts(
        [
            ("first stage alone", f"nDCG@10 {weighed.first_stage_alone:.4f}"),
            ("reranker alone", f"{weighed.reranker_alone:.4f}"),
            ("present weight", f"{weighed.before:.4f} with {weighed.present:g}"),
            ("tuned weight", f"{weighed.after:.4f} with {weighed.weight:g}, {_change(weighed.change)}"),
            ("over first stage", _change(weighed.over_first_stage)),
        ]
    )
    print_line([(_weight_verdict(found, stored), "bold")])


def _change(change: Difference) -> str:
    low, high = change.interval
    return f"{change.mean:+.4f} ({low:+.4f} to {high:+.4f}), p {change.p:.4f}"


def _calibration_verdict(stored: _Stored) -> str:
    if stored.calibration is None:
        return "not stored: probabilities are no better than the present ones beyond chance"
    return f"stored: {stored.calibration} makes probabilities now"


def _weight_verdict(found: RerankerFindings, stored: _Stored) -> str:
    winners = {
        "first stage": "the first stage alone wins: search without this reranker",
        "reranker": "the reranker alone wins",
        "mix": "a mix wins",
    }
    verdict = winners[found.weighed.winner]
    if found.weighed.winner != "first stage" and found.weighed.over_first_stage.p >= 0.05:
        verdict += ", but is no better than the first stage alone beyond chance"
    if stored.weight:
        used = f"stored: searches that name {found.reranker.name} give the first stage the weight"
        return f"{used} {found.weighed.weight:g} at depth {found.depth}; {verdict}"
    return f"not stored: no better than the present weight beyond chance; {verdict}"
