"""``trivec tune``: find how a library is searched best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivec.evaluate.judged_sets import JudgedQuery
    from trivec.evaluate.measures import Relevance
    from trivec.evaluate.tuning import Tuned
    from trivec.search.collection import Collection


def tune(
    library: Path,
    /,
    *,
    queries: Path | None = None,
    qrels: Path | None = None,
    pseudo: int | None = None,
    rerank: str | None = None,
    depth: int | None = None,
    calibration: Literal["platt", "isotonic"] | None = None,
    keep: bool = False,
    seed: int = 0,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Find how a library is searched best.

    For example:
      trivec tune library --queries queries.jsonl --qrels qrels.tsv
      trivec tune library --pseudo 200 --keep
      trivec tune library --queries q.jsonl --qrels q.tsv --rerank run/model

    Weights, fusion rules and depths are tried on your own queries, and what
    is told is measured by cross-validation: on queries that did not choose.
    A simpler way that is not measurably worse goes first; it is said if one
    signal alone wins. If the result is better than the present way beyond
    chance (p < 0.05), it is stored with the library, and the evidence too.

    Without judgements, queries can be drawn from the documents. They share
    their words with them and favour lexical signals: nothing that they
    choose is stored unless --keep says so.

    With --rerank, the library's way of searching stays, and a reranker is
    tuned to it: its logits become probabilities, kept with the model, and
    the weight that the first stage gets beside it is kept with the library,
    for searches that name the reranker. Documents that nobody judged count
    as wrong.

    Args:
        library: Folder of the library.
        queries: One JSON object a line, with id and text.
        qrels: Judgements: query 0 document grade, or query, document, grade.
        pseudo: Draw so many queries from the documents instead.
        rerank: A reranker, by name or folder, to be tuned.
        depth: How many documents of each query it reads.
            Without it: as many as in a search, 100.
        calibration: platt, two numbers, or isotonic, any rising shape.
            Without it: what suits better.
        keep: Store the result whatever the evidence.
        seed: Of folds, draws and random samples.
    """
    from trivec.cli.leaving import keep as kept
    from trivec.cli.output import emit
    from trivec.cli.tune_reranker import check, tune_reranker
    from trivec.evaluate.tuning import tune as find_best
    from trivec.search.opening import open_collection

    check(rerank, pseudo, depth, calibration)
    with kept(open_collection(library, create=False)) as collection:
        asked, relevance = _questions(collection, queries, qrels, pseudo, seed)
        if rerank is not None:
            return tune_reranker(collection, rerank, asked, relevance, depth, calibration, keep, seed, output)
        labels = "judged" if pseudo is None else "pseudo"
        found = find_best(collection, asked, relevance, labels, seed, output.progress)  # type: ignore[arg-type]
        is_stored = keep or (found.is_better and labels == "judged")
        if is_stored:
            collection.configure(found.options, found.evidence())
    result = {**found.evidence(), "options": found.options.settings(), "stored": is_stored}
    emit(output, result if output.as_json else None, lambda: _show(found, library, is_stored))
    return 0


def _questions(
    library: Collection, queries: Path | None, qrels: Path | None, pseudo: int | None, seed: int
) -> tuple[Sequence[JudgedQuery], Relevance]:
    from trivec.errors import InputError
    from trivec.evaluate.layouts import read_queries
    from trivec.evaluate.pseudo_queries import draw_queries
    from trivec.evaluate.runs import read_relevance

    if (queries is None) != (qrels is None) or (queries is None) == (pseudo is None):
        raise InputError("give --queries and --qrels, or --pseudo with a number")
    if pseudo is not None:
        drawn = draw_queries(library, pseudo, seed)
        return drawn.queries, drawn.relevance
    assert queries is not None and qrels is not None
    return list(read_queries(queries).values()), read_relevance(qrels)


def _show(found: Tuned, library: Path, is_stored: bool) -> None:
    from trivec.cli.output import print_facts, print_line

    low, high = found.change.interval
    weights = ", ".join(f"{signal}={weight:g}" for signal, weight in (found.options.weights or {}).items())
    what = "pseudo queries, which favour lexical signals" if found.labels == "pseudo" else "queries"
    print_facts(
        [
            ("measured on", f"{found.queries} {what}, {found.tried} ways, nDCG@10, five-fold cross-validation"),
            ("present way", f"{found.before:.4f}"),
            ("best signal", f"{found.best_signal_value:.4f} by {found.best_signal} alone"),
            ("tuned", f"{found.after:.4f}"),
            ("change", f"{found.change.mean:+.4f} ({low:+.4f} to {high:+.4f}), p {found.change.p:.4f}"),
            ("way", f"{found.options.fusion}, {weights}"),
            ("depth", f"{found.options.candidates} candidates a signal, {found.options.shortlist} by MaxSim"),
        ]
    )
    print_line([(_verdict(found, library, is_stored), "bold")])


def _verdict(found: Tuned, library: Path, is_stored: bool) -> str:
    alone = f"; {found.single_signal} alone wins" if found.single_signal is not None else ""
    if is_stored:
        return f"stored: {library} is searched in this way now{alone}"
    if found.labels == "pseudo":
        return f"not stored, for pseudo queries are no users': --keep stores it{alone}"
    return f"not stored: no better than the present way beyond chance{alone}"
