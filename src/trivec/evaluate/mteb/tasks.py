"""Running tasks and benchmarks of mteb, by the model's dense vectors or by its systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from trivec.encode.encoder import Encoder
from trivec.errors import InputError, require
from trivec.evaluate.mteb.encoder import MtebEncoder
from trivec.evaluate.mteb.search import MtebSearch
from trivec.search.long_documents import LongDocuments

if TYPE_CHECKING:
    from mteb import AbsTask, TaskResult

ENCODER = "encoder"
"""Dense vectors that mteb compares itself, as most results on its leaderboards are made."""


@dataclass(frozen=True)
class TaskScore:
    """What a system reached in a task.

    Attributes:
        task: its name.
        kind: ``Retrieval``, ``STS`` and so on.
        system: `ENCODER`, or the name of a system.
        measure: the task's main one, as mteb spells it.
        score: its mean over splits and subsets.
        subsets: its value by split, and in it by subset, which is a language for most tasks.
    """

    task: str
    kind: str
    system: str
    measure: str
    score: float
    subsets: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class TaskRun:
    """Tasks that were run.

    Attributes:
        scores: in the order of the tasks, and of the systems in each.
        failed: what went wrong, by task and system; most often a dataset that cannot be had.
    """

    scores: Sequence[TaskScore]
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)


def run_tasks(
    encoder: Encoder,
    tasks: Sequence[str | AbsTask],
    out: Path,
    systems: Sequence[str] = (),
    languages: Sequence[str] = (),
    splits: Sequence[str] = (),
    long_documents: LongDocuments | None = None,
    cache: Path | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
) -> TaskRun:
    """Measure a model on tasks of mteb, which gets their data from the hub, or from the hub's cache.

    Retrieval and reranking are measured by each system, all other tasks by `ENCODER` alone. A task that fails does not
    keep the others from being run.

    Args:
        encoder: the model.
        tasks: names of tasks (``STS17``) and benchmarks (``MTEB(cmn, v1)``), or tasks as they are.
        out: gets mteb's own files, ``results/MODEL/REVISION/TASK.json``, and those of a system under
            ``experiments/`` there. What is there already is not measured again.
        systems: `ENCODER`, names or weights, see `trivec.evaluate.systems`; none: `ENCODER`.
        languages: such as ``deu`` or ``eng-Latn``; none: all of a task.
        splits: such as ``test``; none: all that a task is measured on.
        long_documents: how documents become passages for systems; `ENCODER` sees the beginning of each.
        cache: folder that keeps vectors, so that several systems encode a passage once.
        overwrite: measure again what is there.
        show_progress: bars on terminals.

    Raises:
        InputError: there is no such task, benchmark or system, no task is left, or one is not of text.
        MissingPackageError: mteb is not installed.
    """
    require("mteb", "mteb", "measuring with mteb")
    import mteb

    found = find_tasks(tasks, languages, splits)
    systems = list(dict.fromkeys(systems)) or [ENCODER]
    models = _models(encoder, systems, long_documents or LongDocuments(), cache)
    results = mteb.ResultCache(out)
    scores: list[TaskScore] = []
    failed: dict[tuple[str, str], str] = {}
    for task in found:
        for system in systems if _ranks_documents(task) else [ENCODER]:
            result = mteb.evaluate(
                models[system],
                task,
                cache=results,
                overwrite_strategy="always" if overwrite else "only-missing",
                encode_kwargs={"show_progress_bar": show_progress},
                show_progress_bar=show_progress,
                co2_tracker=False,
                raise_error=False,
            )
            if result.exceptions:
                failed[task.metadata.name, system] = "; ".join(error.exception for error in result.exceptions)
                if _parts(task):  # written without a score, it would be taken for done
                    written = results.get_task_result_path(task.metadata.name, models[system].mteb_model_meta)
                    written.unlink(missing_ok=True)
            else:
                scores += [_score(task, system, one) for one in result.task_results]
    return TaskRun(scores, failed)


def find_tasks(
    tasks: Sequence[str | AbsTask], languages: Sequence[str] = (), splits: Sequence[str] = ()
) -> list[AbsTask]:
    """Tasks by name, and those of benchmarks by name, each once.

    Args:
        tasks: names of tasks and benchmarks, or tasks as they are.
        languages: those that are kept; a task without any of them is left out.
        splits: those that are kept; a task without any of them is left out.

    Raises:
        InputError: there is no such task or benchmark, no task is left, or one is not of text.
        MissingPackageError: mteb is not installed.
    """
    require("mteb", "mteb", "measuring with mteb")
    found: dict[str, AbsTask] = {}
    for asked in tasks:
        for task in _named(asked) if isinstance(asked, str) else [asked]:
            chosen = _chosen(task, languages, splits)
            if chosen is not None:
                found.setdefault(task.metadata.name, chosen)
    if not found:
        raise InputError(
            f"no task is left of {', '.join(map(str, tasks)) or 'none'} in the languages {list(languages)} and splits "
            f"{list(splits)}: name other tasks, or languages as mteb does, such as eng or deu-Latn"
        )
    others = [name for name, task in found.items() if set(task.metadata.modalities) != {"text"}]
    if others:
        raise InputError(
            f"{', '.join(others)} need images, sound or video, and models take text here: name other tasks"
        )
    return list(found.values())


def _named(name: str) -> Sequence[AbsTask]:
    import mteb

    try:
        return [mteb.get_task(name)]
    except KeyError as no_task:
        try:
            tasks: Sequence[AbsTask] = list(mteb.get_benchmark(name).tasks)
        except KeyError as no_benchmark:
            raise InputError(
                f"mteb has neither a task nor a benchmark {name!r}: as a task, {_told(no_task)}; as a benchmark, "
                f"{_told(no_benchmark)}"
            ) from None
    return tasks


def _told(error: KeyError) -> str:
    """What mteb says of a name, with its suggestion."""
    return str(error.args[0]).removeprefix("KeyError: ").rstrip(".")


def _chosen(task: AbsTask, languages: Sequence[str], splits: Sequence[str]) -> AbsTask | None:
    """A copy with these languages and splits alone, as benchmarks share their tasks; None if it has none of them."""
    task = copy(task)
    wanted = [split for split in task.eval_splits if split in splits or not splits]
    if not wanted:
        return None
    task.filter_eval_splits(wanted)
    try:
        return task.filter_languages(list(languages)) if languages else task
    except ValueError:
        return None


def _models(
    encoder: Encoder, systems: Sequence[str], long_documents: LongDocuments, cache: Path | None
) -> dict[str, MtebEncoder | MtebSearch]:
    """The models by system; with a cache, all searches keep the same vectors there."""
    searches = {name: MtebSearch(encoder, name, long_documents, cache=cache) for name in systems if name != ENCODER}
    heads = {head for search in searches.values() for head in search.heads} if cache is not None else set()
    for search in searches.values():
        search.kept_heads = [head for head in encoder.heads if head in heads]
    return {**searches, ENCODER: MtebEncoder(encoder)}


def _ranks_documents(task: AbsTask) -> bool:
    """Whether a search can do it."""
    from mteb.abstasks import AbsTaskRetrieval

    return all(map(_ranks_documents, _parts(task))) if _parts(task) else isinstance(task, AbsTaskRetrieval)


def _parts(task: AbsTask) -> Sequence[AbsTask]:
    """The tasks of which one is made, where it is made of others."""
    parts: Sequence[AbsTask] = getattr(task.metadata, "tasks", ())
    return parts


def _score(task: AbsTask, system: str, result: TaskResult) -> TaskScore:
    """Of the splits and subsets that were asked for; a file of results may hold more."""
    asked = {*task.hf_subsets, "default"}
    subsets = {
        split: {one["hf_subset"]: float(one["main_score"]) for one in found if one["hf_subset"] in asked}
        for split, found in result.scores.items()
        if split in task.eval_splits
    }
    values = [value for found in subsets.values() for value in found.values()]
    metadata = task.metadata
    return TaskScore(metadata.name, metadata.type, system, metadata.main_score, fmean(values), subsets)
