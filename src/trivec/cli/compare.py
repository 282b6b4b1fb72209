"""``trivec compare``: runs of several systems beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivec.evaluate.comparison import ComparedRuns, QueryChange


def compare(
    runs: list[Path],
    /,
    *,
    qrels: Path,
    measure: Annotated[tuple[str, ...], Parameter(name=["--measure", "--measures"], consume_multiple=True)] = (
        "nDCG@10",
    ),
    ties: Literal["trec", "stable"] = "trec",
    seed: int = 0,
    show: int = 5,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Compare what systems found, with significance.

    For example:
      trivec compare bm25.run hybrid.run --qrels qrels.tsv
      trivec compare a.run b.run c.run --qrels qrels.txt --measure nDCG@10 R@100

    Every run is compared with the first: the means, the difference and the
    95 % interval that it lies in (bootstrap over queries), the p value of a
    paired randomisation test, corrected for the number of comparisons (Holm),
    and how many queries it answers better and worse. A query that a run does
    not have counts 0. The same input gives the same numbers.

    Args:
        runs: Files in the format of TREC: query Q0 document rank score tag.
            Plain, .gz or .zst.
        qrels: Judgements: query 0 document grade, or query, document, grade.
        measure: nDCG@10, R@100, RR@10, AP, Success@5, P@5 and the like.
        ties: Equal scores by document id as trec_eval has them, or as given.
        seed: Of the random samples.
        show: Queries that gain and lose most, told at most.
    """
    from trivec.cli.output import emit
    from trivec.errors import InputError
    from trivec.evaluate.comparison import compare_runs
    from trivec.evaluate.runs import read_relevance, read_run

    if show < 0:
        raise InputError(f"--show is {show}: give 0 or more")
    compared = compare_runs(
        [read_run(path) for path in runs], read_relevance(qrels), measure, ties, seed=seed, shown=show
    )
    for name, missing in compared.unanswered.items():
        if missing:
            output.note(f"{name} lacks {missing} of {compared.queries} queries; they count 0")
    if compared.without_relevant:
        output.note(f"{compared.without_relevant} queries have no relevant document and are left out")
    emit(output, compared.to_dict() if output.as_json else None, lambda: _show(compared))
    return 0


def _show(compared: ComparedRuns) -> None:
    from trivec.cli.output import print_line, print_table

    rows = [[compared.baseline, name, f"{mean:.4f}", "", "", "", ""] for name, mean in compared.means.items()]
    for one in compared.comparisons:
        low, high = one.interval
        rows.append(
            [
                one.system,
                one.measure,
                f"{one.mean:.4f}",
                f"{one.difference:+.4f}",
                f"{low:+.4f} to {high:+.4f}",
                f"{one.p_corrected:.4f}",
                f"{one.wins} / {one.losses}",
            ]
        )
    columns = ["system", "measure", "mean", "difference", "95 % interval", "p", "better / worse"]
    print_table(columns, rows, right={2, 3, 4, 5, 6})
    for one in compared.comparisons:
        for title, changes in (("gains most", one.best), ("loses most", one.worst)):
            if changes:
                print_line([(f"{one.system} {title} by {one.measure}", "bold")])
                _show_queries(changes)


def _show_queries(changes: Sequence[QueryChange]) -> None:
    from trivec.cli.output import print_line

    for change in changes:
        print_line([(change.query, ""), (f"  {change.first:.4f} to {change.other:.4f}", "dim")], indent=2)
