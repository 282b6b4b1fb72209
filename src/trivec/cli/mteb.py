"""``trivec mteb``: a model on the tasks of the package mteb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trivec.cli.flags import DEFAULT_LONG, DEFAULT_OUTPUT, LongFlags, OutputFlags, Precision, Several

if TYPE_CHECKING:
    from trivec.evaluate.mteb import TaskRun


def mteb(
    model: str,
    tasks: Several,
    /,
    *,
    out: Path,
    systems: Several = (),
    languages: Several = (),
    splits: Several = (),
    cache: Path | None = None,
    overwrite: bool = False,
    precision: Precision | None = None,
    long: LongFlags = DEFAULT_LONG,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Measure a model on MTEB, C-MTEB and their tasks.

    For example:
      trivec mteb m3-small STS17 MIRACLRetrievalHardNegatives --out results
      trivec mteb m3-small "MTEB(cmn, v1)" --out results
      trivec mteb m3-small BelebeleRetrieval --languages deu --out results
          --systems encoder hybrid

    Needs trivec[mteb], and the hub for the data, unless its cache has them.

    Args:
        model: A name that trivec models lists, or a folder.
        tasks: Names of tasks and benchmarks, as mteb has them.
        out: Folder of the results, in mteb's own layout. A task that is
            there is not measured again.
        systems: For retrieval and reranking: encoder, which is dense vectors
            as most of the leaderboard has them, or those of trivec eval.
            Without it: encoder.
        languages: Such as deu or eng-Latn. Without it: all.
        splits: Such as test. Without it: all that a task is measured on.
        cache: Folder that keeps vectors, for several systems.
        overwrite: Measure again what is there.
        precision: float32, or int8 for a model that is quantised. Without it:
            what the model's folder says, else float32.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit
    from trivec.encode.loading import load
    from trivec.errors import InputError
    from trivec.evaluate.mteb import run_tasks

    if not tasks:
        raise InputError("no task is named: give names of tasks or benchmarks, such as STS17 or 'MTEB(cmn, v1)'")
    encoder = load(model, precision=precision)
    run = run_tasks(encoder, tasks, out, systems, languages, splits, long.options(), cache, overwrite, output.progress)
    for (task, system), why in run.failed.items():
        output.note(f"{task}, {system}: {why}")
    found = {
        "scores": [asdict(one) for one in run.scores],
        "failed": [{"task": task, "system": system, "why": why} for (task, system), why in run.failed.items()],
    }
    emit(output, found if output.as_json else None, lambda: _show(run))
    return 1 if run.failed else 0


def _show(run: TaskRun) -> None:
    """A line for each task, a column for each system, and the means of each kind of task."""
    from statistics import fmean

    from trivec.cli.output import print_table

    systems = list(dict.fromkeys(one.system for one in run.scores))
    values = {(one.task, one.system): one.score for one in run.scores}
    kinds: dict[str, dict[str, str]] = {}
    for one in run.scores:
        kinds.setdefault(one.kind, {})[one.task] = one.measure
    rows = []
    for kind, tasks in kinds.items():
        rows += [[task, measure, *(_shown(values.get((task, name))) for name in systems)]
                 for task, measure in tasks.items()]  # fmt: skip
        if len(tasks) > 1:
            complete = [all((task, name) in values for task in tasks) for name in systems]
            means = [fmean(values[task, name] for task in tasks) if whole else None
                     for name, whole in zip(systems, complete, strict=True)]  # fmt: skip
            rows.append([f"mean of {kind}", "", *map(_shown, means)])
    if rows:
        print_table(["task", "measure", *systems], rows, right=range(2, len(systems) + 2))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
