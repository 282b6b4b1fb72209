"""``trivec eval``: how well a model retrieves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_LONG, DEFAULT_OUTPUT, LongFlags, OutputFlags, Precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivec.evaluate.evaluation import Evaluation

Several = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]


def evaluate(
    model: str,
    sets: list[Path],
    /,
    *,
    out: Path | None = None,
    systems: Several = (),
    measure: Annotated[Several, Parameter(name=["--measure", "--measures"])] = ("nDCG@10", "R@100", "RR@10"),
    split: str | None = None,
    cache: Path | None = None,
    candidates: int = 1000,
    without_self: bool = False,
    ties: Literal["trec", "stable"] = "trec",
    precision: Precision | None = None,
    long: LongFlags = DEFAULT_LONG,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Measure how well a model retrieves.

    For example:
      trivec eval m3-small beir/scifact beir/nfcorpus --out results
      trivec eval m3-small set/ --systems dense bm25 dense=1,bm25=0.2,multi=1
      trivec eval run/model dev.jsonl --measure nDCG@10 R@1000

    A set is a folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels) or
    in that of FlagEmbedding, or a file of training examples. Every passage is
    encoded once and scored by every signal; all systems are made of that:
    each signal alone, M3's mixes, and the model's own (hybrid). Documents
    are cut into passages as in a library, and count by their best one.

    With --out, the folder gets report.html, results.json and a run file for
    each system, for trivec compare and trec_eval. With --cache, vectors are
    kept there: a run that was stopped goes on, and other systems cost next to
    nothing.

    Args:
        model: A name that trivec models lists, or a folder.
        sets: Folders of sets, or files of examples.
        out: Folder of the results.
        systems: dense, sparse, bm25, multi, dense+sparse, dense+sparse+multi,
            hybrid, or weights. Without it: all that the model can.
        measure: nDCG@10, R@100, RR@10, AP, Success@5, P@5 and the like.
        split: Which judgements of several, such as test. Without it: dev,
            else test.
        cache: Folder that keeps vectors.
        candidates: Passages that each signal lists for the mixes. It is told
            where more of them could change a result.
        without_self: Leave out a document whose id is that of the query, for
            sets whose queries are documents, such as ArguAna and Quora.
        ties: Equal scores by document id as trec_eval has them, or as given.
        precision: float32, or int8 for a model that is quantised. Without it:
            what the model's folder says, else float32.
    """
    from trivec.cli.output import emit
    from trivec.encode.loading import load
    from trivec.evaluate import results
    from trivec.evaluate.evaluation import EvaluateOptions
    from trivec.evaluate.evaluation import evaluate as measure_all
    from trivec.evaluate.layouts import read_judged
    from trivec.evaluate.reporting import write_report
    from trivec.search.long_documents import LongDocuments

    options = EvaluateOptions(
        systems, measure, ties, long.options() or LongDocuments(), candidates=candidates, without_self=without_self
    )
    _check(sets, out)
    judged = [read_judged(path, split) for path in sets]
    encoder = load(model, precision=precision)
    found = []
    for one in judged:
        found.append(measure_all(encoder, one, options, cache, output.progress))
        _tell(found[-1], output)
        if out is not None:
            results.write_runs(out, found[-1])
            results.write_results(out, found, options)
            write_report(out / results.REPORT, found)
    emit(output, results.to_dict(found, options) if output.as_json else None, lambda: _show(found))
    return 0


def _check(sets: Sequence[Path], out: Path | None) -> None:
    from trivec.errors import InputError
    from trivec.evaluate.results import check_folder

    names = [path.resolve().name for path in sets]
    if len(set(names)) < len(names):
        raise InputError(f"two sets have the same name in {', '.join(names)}: rename one, or measure it by itself")
    if out is not None:
        check_folder(out)


def _tell(evaluation: Evaluation, output: OutputFlags) -> None:
    """What a reader of the numbers must know."""
    name = evaluation.judged.name
    if evaluation.unknown_documents:
        output.note(f"{name}: {evaluation.unknown_documents} relevant documents are not in the corpus")
    uncertain = {system: result.uncertain for system, result in evaluation.systems.items() if result.uncertain}
    if uncertain:
        told = ", ".join(f"{system} for {count} queries" for system, count in uncertain.items())
        output.note(f"{name}: more --candidates could change {told}")


def _show(evaluations: Sequence[Evaluation]) -> None:
    """A table for each measure: a line for each set, a column for each system, and the means."""
    from statistics import fmean

    from trivec.cli.output import print_line, print_table

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
    passages = sum(evaluation.cost.passages for evaluation in evaluations)
    encoding = sum(evaluation.cost.encoding_s for evaluation in evaluations)
    scoring = sum(evaluation.cost.scoring_s for evaluation in evaluations)
    print_line([(f"{passages:,} passages, {encoding:.0f} s encoding, {scoring:.0f} s scoring", "dim")])
