"""Tables of ``trivec eval``."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from trivec.cli.output import print_line, print_table
from trivec.evaluate.costs import total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivec.evaluate.evaluation import Evaluation
    from trivec.evaluate.pair_evaluation import PairEvaluation
    from trivec.evaluate.results import Results


def show(found: Results) -> None:
    """Tables of sets, and tables of pairs."""
    if found.sets:
        _show_sets(found.sets)
    if found.pairs:
        _show_pairs(found.pairs)


def _show_sets(evaluations: Sequence[Evaluation]) -> None:
    """A table for each measure: a line for each set, a column for each system, and the means."""
    systems = list(evaluations[0].systems)
    for name in evaluations[0].systems[systems[0]].measured.values:
        rows = []
        for evaluation in evaluations:
            means = [result.measured.means()[name] for result in evaluation.systems.values()]
            rows.append([evaluation.judged.name, *(f"{mean:.4f}" for mean in means)])
        if len(rows) > 1:
            columns = zip(*(row[1:] for row in rows), strict=True)
            rows.append(["mean", *(f"{fmean(map(float, column)):.4f}" for column in columns)])
        print_line([(name, "bold")])
        print_table(["set", *systems], rows, right=range(1, len(systems) + 1))
        print_line()
    _show_costs(evaluations)


def _show_costs(evaluations: Sequence[Evaluation]) -> None:
    systems = evaluations[-1].systems
    latencies = {name: result.latency for name, result in systems.items() if result.latency is not None}
    if latencies:
        print_line([("milliseconds a search", "bold")])
        rows = [["half", *(f"{one.p50:.2f}" for one in latencies.values())],
                ["95 %", *(f"{one.p95:.2f}" for one in latencies.values())]]  # fmt: skip
        print_table(["take at most", *latencies], rows, right=range(1, len(latencies) + 1))
        print_line()
    if evaluations[-1].reranker:
        calibration = evaluations[-1].calibration
        probabilities = f"probabilities by {calibration}" if calibration else "no calibrated probabilities"
        print_line([(f"reranked by {evaluations[-1].reranker}, {probabilities}", "dim")])
    cost = total_cost([evaluation.cost for evaluation in evaluations])
    print_line([(str(cost), "dim")])


def _show_pairs(evaluations: Sequence[PairEvaluation]) -> None:
    """A table for each measure: a line for each set of pairs, a column for each system."""
    for name in dict.fromkeys(name for one in evaluations for name in next(iter(one.values.values()))):
        measured = [one for one in evaluations if name in next(iter(one.values.values()))]
        systems = list(measured[0].values)
        rows = [[one.pairs.name, *(f"{one.values[system][name]:.4f}" for system in systems)] for one in measured]
        print_line([(name, "bold")])
        print_table(["pairs", *systems], rows, right=range(1, len(systems) + 1))
        print_line()
    count, taken = sum(len(one.pairs.first) for one in evaluations), sum(one.encoding_s for one in evaluations)
    print_line([(f"{count:,} pairs, {taken:.0f} s encoding", "dim")])
