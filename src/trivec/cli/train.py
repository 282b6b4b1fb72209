"""``trivec train``: a better encoder, or reranker, from labelled or paired texts."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.argument import ArgumentCollection

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags
from trivec.train.options import TrainOptions
from trivec.train.reranker_options import AnyOptions, RerankerOptions

if TYPE_CHECKING:
    from trivec.train.dry_run import DryRun
    from trivec.train.training import Ready, TrainResult

app = App(name="train")
_DEFAULTS = TrainOptions()
_RERANKER_DEFAULTS = RerankerOptions()


def _recipe_values(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Take what the words leave open from the file that --config names."""
    from cyclopts.config import Dict

    from trivec.errors import InputError
    from trivec.train.recipe_files import read_values

    for argument in arguments:
        if "--config" in argument.names and argument.tokens:
            path = Path(argument.tokens[-1].value)
            values = read_values(path)
            task = values.pop("task", None)
            if task is not None and task != commands[-1]:
                raise InputError(f"{path} is a recipe for trivec train {task}, not for {commands[-1]}: use it there")
            Dict(values, use_commands_as_keys=False, source=str(path))(app, commands, arguments)


app.config = (_recipe_values,)

Config = Annotated[Path | None, Parameter(name="--config")]


@app.default
def train() -> int:
    """Train an encoder or a reranker from queries and passages.

    For example:
      trivec train m3 pairs.jsonl --out run
      trivec train m3 --config recipes/m3.yaml --learning-rate 2e-5
      trivec train reranker pairs.jsonl --out run
      trivec train resume run

    m3 trains all heads together, dense the dense vector alone, reranker a
    cross-encoder; resume goes on with a run that was stopped. trivec train
    m3 --help and trivec train reranker --help list the options.
    """
    from trivec.cli.running import make_app

    make_app()(["train", "--help"])
    return 0


@app.command
def m3(
    pairs: tuple[str, ...] = (),
    /,
    *,
    options: TrainOptions = _DEFAULTS,
    config: Config = None,
    dry_run: bool = False,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Train the dense, sparse and multi-vector heads together.

    For example:
      trivec train m3 pairs.jsonl --out run
      trivec train m3 pairs.jsonl --out run --dry-run
      trivec train m3 pairs.jsonl --out run --lora-rank 16 --dev-share 0.1

    Each line of pairs.jsonl has a query, pos (a list of right passages) and,
    if there are any, neg (a list of wrong ones). Batch size, learning rate
    and epochs follow from the number of lines unless they are given.

    Stopped by Ctrl-C, a run keeps a checkpoint; trivec train resume goes on.
    The folder gets the trained model (in model), metrics.jsonl, report.html
    and run.yaml, which is a recipe for --config.

    Args:
        pairs: Files and folders with examples, instead of --data.
        config: Recipe: a YAML file of these options. Options on the command
            line go before it.
        dry_run: Say what is in the data, how batches come out and how much
            memory a step takes, and train nothing.
    """
    return _begin(replace(options, data=pairs) if pairs else options, dry_run, output)


@app.command
def dense(
    pairs: tuple[str, ...] = (),
    /,
    *,
    options: TrainOptions = _DEFAULTS,
    config: Config = None,
    dry_run: bool = False,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Train the dense vector alone.

    For example:
      trivec train dense pairs.jsonl --out run

    Everything is as for trivec train m3, with --heads dense, and the metric
    is that of the dense vector.

    Args:
        pairs: Files and folders with examples, instead of --data.
        config: Recipe: a YAML file of these options. Options on the command
            line go before it.
        dry_run: Say what is in the data, how batches come out and how much
            memory a step takes, and train nothing.
    """
    measure = options.evaluation.metric.partition(" ")[2]
    evaluation = replace(options.evaluation, metric=f"dense {measure}")
    options = replace(options, heads=("dense",), evaluation=evaluation, data=pairs or options.data)
    return _begin(options, dry_run, output)


@app.command
def reranker(
    pairs: tuple[str, ...] = (),
    /,
    *,
    options: RerankerOptions = _RERANKER_DEFAULTS,
    config: Config = None,
    dry_run: bool = False,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Train a reranker, which reads a query and a passage together.

    For example:
      trivec train reranker pairs.jsonl --out run
      trivec train reranker pairs.jsonl --out run --model BAAI/bge-reranker-base
      trivec train reranker scored.jsonl --out run --teacher kl
      trivec train reranker pairs.jsonl --out run --model google/gemma-2b

    Lines are as for trivec train m3, and each needs neg, a list of wrong
    passages: trivec mine finds some. The model may be a reranker, which is
    trained further, an encoder, which gets a new head, or a language model.

    The folder of the run is as for trivec train m3; its model is for trivec
    search --rerank, and loads in transformers as well.

    Args:
        pairs: Files and folders with examples, instead of --data.
        config: Recipe: a YAML file of these options. Options on the command
            line go before it.
        dry_run: Say what is in the data, how batches come out and how much
            memory a step takes, and train nothing.
    """
    return _begin(replace(options, data=pairs) if pairs else options, dry_run, output)


@app.command
def resume(run: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Go on with a run that was stopped or killed.

    For example:
      trivec train resume run

    It goes on from the last checkpoint that is whole, with the options that
    the run was begun with.

    Args:
        run: Folder of the run, that --out named.
    """
    _require_torch()
    from trivec.train.training import resume as resume_run

    _show_result(resume_run(run, output.note, output.progress), output)
    return 0


def _begin(options: AnyOptions, dry_run: bool, output: OutputFlags) -> int:
    from trivec.errors import InputError

    if not options.data:
        raise InputError("no training data: name at least one file or folder, or give data in the recipe")
    if options.out is None and not dry_run:
        raise InputError("nothing says where the run goes: give --out FOLDER")
    _require_torch()
    if dry_run:
        _show_dry_run(options, output)
        return 0
    from trivec.train.training import train as train_model

    _show_result(train_model(options, output.note, output.progress), output)
    return 0


def _require_torch() -> None:
    from trivec.errors import require

    for module in ("torch", "transformers", "accelerate"):
        require(module, "train", "training")


def _show_result(result: TrainResult, output: OutputFlags) -> None:
    from trivec.cli.output import emit_summary, print_facts, print_table
    from trivec.train.training import world

    if world()[0] != 0:
        return

    def show() -> None:
        rows = [
            [row["set"], row["measure"], f"{row['before']:.4f}", f"{row['after']:.4f}", f"{row['change']:+.4f}"]
            for row in result.table
        ]
        if rows:
            print_table(("set", "measure", "before", "after", "change"), rows, right=(2, 3, 4))
            print()
        print_facts([("steps", f"{result.steps:,}"), ("best step", f"{result.best_step:,}"),
                     ("report", str(result.report)), ("model", str(result.model))])  # fmt: skip

    found: dict[str, Any] = {**asdict(result), "model": str(result.model), "report": str(result.report)}
    emit_summary(output, found, show)


def _show_dry_run(options: AnyOptions, output: OutputFlags) -> None:
    from trivec.cli.output import emit
    from trivec.data.statistics import describe, table
    from trivec.encode.tokenizer import TextTokenizer
    from trivec.train.dry_run import dry_run
    from trivec.train.training import make_ready

    ready = make_ready(options, output.progress)
    tokenizer = TextTokenizer.of(ready.checkpoint)
    special = tokenizer.special_tokens_per_text
    statistics = describe(
        ready.prepared, lambda texts: [len(pieces.ids) + special for pieces in tokenizer.pieces(texts)]
    )
    found = dry_run(ready)
    result = {"data": [asdict(item) for item in statistics], "run": asdict(found)}

    def show() -> None:
        for line in table(statistics):
            print(line)
        print()
        _print_plan(found, ready)

    for warning in ready.bad_lines.warnings:
        output.note(warning)
    emit(output, result, show)


def _print_plan(found: DryRun, ready: Ready) -> None:
    from trivec.cli.output import human_bytes, print_facts, print_table

    rows = [
        [
            f"{row.tokens[0]}-{row.tokens[1]}",
            *(f"{n:,}" for n in (row.examples, row.batches, row.queries, row.batch_size)),
        ]
        for row in found.buckets
    ]
    print_table(("tokens", "examples", "batches", "queries a batch", "batch size"), rows, right=(1, 2, 3, 4))
    print()
    memory = ", ".join(f"{name} {human_bytes(size)}" for name, size in found.memory_bytes.items())
    learning = ready.options.learning
    length = f"{learning.epochs:g} epochs" if learning.steps is None else "by steps"
    print_facts([
        ("examples", f"{found.examples:,}, {found.held_out:,} held out, {found.left_out:,} in no batch"),
        ("steps", f"{found.steps:,} ({found.batches:,} batches an epoch, {length})"),
        ("learning rate", f"{learning.learning_rate:g}"),
        ("padding", f"{found.padded_share:.1%} of the tokens in a sample of batches"),
        ("parameters", f"{found.parameters:,}, {found.trained:,} of them trained"),
        ("memory", f"about {human_bytes(found.peak_bytes)} at once ({memory})"),
    ])  # fmt: skip
