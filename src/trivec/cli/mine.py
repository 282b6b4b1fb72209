"""``trivec mine``: hard negatives for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from trivec.data.mining import MiningReport, Shard, Source, Teacher

_RULES = Group("Against false negatives", sort_key=1)


@Parameter(name="*", group=_RULES)
@dataclass(frozen=True)
class RuleFlags:
    """What may not be a negative."""

    percent: float = 0.95
    """Drop what scores this share of the positive's score or more; 0 is no
    such rule."""

    margin: float | None = None
    """Drop what scores the positive's score less this, or more. Where the
    positive scores 0 or less, it takes the place of --percent; without it,
    0.05 does."""

    below: float | None = None
    """Drop what scores this or more."""

    near_duplicate: float = 0.8
    """Drop texts that share so much of their stretches of five letters with a
    positive (Jaccard index); 0 is no such rule."""

    teacher: str | None = None
    """A reranker or an encoder that scores positives and negatives, for
    training, and whose word drops what it scores as high as a positive."""

    teacher_by: Literal["dense", "hybrid"] = "hybrid"
    """Which of the scores of a teacher that is an encoder."""

    veto_margin: float = 0.0
    """Drop what the teacher scores its lowest score of a positive less this,
    or more."""

    veto_below: float | None = None
    """Drop what the teacher scores this or more."""

    allow_few: bool = False
    """Write the result also if the median query has fewer candidates left
    than it needs."""


_NO_RULES = RuleFlags()


def mine(
    examples: list[Path],
    /,
    *,
    out: Path,
    corpus: tuple[Path, ...] = (),
    model: str | None = None,
    by: str = "dense",
    ranks: Annotated[str, Parameter(name="--range")] = "2-200",
    negatives: int = 7,
    sampling: Literal["uniform", "top"] = "uniform",
    no_fill: bool = False,
    keep_negatives: bool = False,
    drop_scores: bool = False,
    seed: int = 0,
    weights: str | None = None,
    max_length: int | None = None,
    graph_from: int | None = None,
    audit: Path | None = None,
    index: Path | None = None,
    shard: str = "1/1",
    format: str = "auto",
    skip_bad: bool = False,
    rules: RuleFlags = _NO_RULES,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Give training examples hard negatives.

    For example:
      trivec mine pairs.jsonl --out mined.jsonl
      trivec mine pairs.jsonl --corpus corpus/ --out mined.jsonl.gz --negatives 15
      trivec mine pairs.jsonl --out mined.jsonl --by dense=50,bm25=25,random=25
      trivec mine pairs.jsonl --out mined.jsonl --teacher BAAI/bge-m3 --audit audit.jsonl

    Those are passages that a model takes for answers and that are none. The
    model retrieves for every query; what may be an answer after all is
    dropped; negatives are drawn from the rest, and take the place of those
    that an example has. Beside each negative stand its rank, its score and
    its source. It prints what share of the candidates each rule has dropped.

    The same command gives the same bytes. Stopped by Ctrl-C or killed, it
    goes on where it was: its work lies in a folder beside the output.

    Args:
        examples: Files or folders of examples, as trivec train reads them.
        out: The result: .jsonl, or .jsonl.gz, or .jsonl.zst.
        corpus: File, folder or BEIR folder that negatives come from; give it
            again for more. Without it: all positives and negatives of the
            examples.
        model: A name that trivec models lists, or a folder. Without it:
            m3-small.
        by: What retrieves: dense, sparse, bm25, multi or hybrid. Several with
            their shares, and random texts: dense=50,bm25=25,random=25.
        ranks: Candidates are those of these ranks, from the first to before
            the last; 0 is the best. What stands above is taken for an answer.
        negatives: How many an example gets.
        sampling: uniform draws among the candidates, top takes the best.
        no_fill: Leave lists short where too few candidates are left, instead
            of adding random texts.
        keep_negatives: Keep those that an example has, and add the mined ones.
        drop_scores: Drop a teacher's scores that the examples have, where no
            teacher is named.
        seed: Of the draws.
        weights: Of the signals in hybrid, as dense=1,multi=1.
        max_length: Tokens of a passage. Without it: the model's own.
        graph_from: From so many texts on, find dense vectors by a graph: faster,
            and can miss some; how many is measured. Without it: never.
        audit: A .jsonl file that says of every candidate what became of it.
        index: A folder that keeps the vectors of the corpus for other runs.
        shard: Mine only the second quarter of the examples: 2/4. The results
            of all shards, one after the other, are that of the whole.
        format: Of the examples, where the suffix does not tell.
        skip_bad: Skip and count what cannot be read, instead of stopping.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit_summary
    from trivec.data.mining import Inputs, MiningOptions
    from trivec.data.mining import mine as mine_negatives
    from trivec.encode.catalogue import DEFAULT_MODEL
    from trivec.encode.loading import load
    from trivec.search.fusion.typed_weights import read_weights

    inputs = Inputs(examples, corpus, format, skip_bad)
    options = MiningOptions(
        sources=_sources(by),
        ranks=_numbers("range", ranks, "-", "2-200"),
        negatives=negatives,
        sampling=sampling,
        percent=rules.percent or None,
        margin=rules.margin,
        below=rules.below,
        near_duplicate=rules.near_duplicate or None,
        veto_margin=rules.veto_margin,
        veto_below=rules.veto_below,
        fill=not no_fill,
        keep_negatives=keep_negatives,
        drop_scores=drop_scores,
        seed=seed,
        weights=None if weights is None else read_weights(weights, "--weights"),
        max_length=max_length,
        graph_from=graph_from,
    )
    report = mine_negatives(
        inputs,
        out,
        load(DEFAULT_MODEL if model is None else model),
        options,
        teacher=_teacher(rules),
        audit=audit,
        index=index,
        shard=_shard(shard),
        allow_few=rules.allow_few,
        progress=output.progress,
    )
    for line in inputs.bad.warnings:
        output.note(line)
    emit_summary(output, {"out": str(out), "skipped": inputs.bad.count, **asdict(report)}, lambda: _show(report, out))
    return 0


def _sources(text: str) -> tuple[Source, ...]:
    """Sources as they are typed: ``dense``, or ``dense=50,bm25=25``."""
    from trivec.data.mining import Source
    from trivec.errors import InputError

    sources = []
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        try:
            sources.append(Source(name, float(share) if equals else 1.0))  # type: ignore[arg-type]
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the share of {name} in --by is {share!r}: give a number such as 50") from None
    return tuple(sources)


def _numbers(option: str, text: str, between: str, example: str) -> tuple[int, int]:
    """Two whole numbers as they are typed: ``2-200``."""
    from trivec.errors import InputError

    first, found, second = (piece.strip() for piece in text.partition(between))
    if not (found and first.isdecimal() and second.isdecimal()):
        raise InputError(f"--{option} is {text!r}: give it as {example}")
    return int(first), int(second)


def _shard(text: str) -> Shard:
    from trivec.data.mining import Shard

    return Shard(*_numbers("shard", text, "/", "1/4"))


def _teacher(rules: RuleFlags) -> Teacher | None:
    from trivec.data.mining import EncoderTeacher, RerankerTeacher
    from trivec.encode.loading import load
    from trivec.rerank.loading import is_reranker, load_reranker

    if rules.teacher is None:
        return None
    if is_reranker(rules.teacher):
        return RerankerTeacher(load_reranker(rules.teacher))
    return EncoderTeacher(load(rules.teacher), rules.teacher_by)


def _show(report: MiningReport, out: Path) -> None:
    from trivec.cli.output import print_facts

    facts = [
        ("examples", f"{report.examples:,}"),
        ("candidates", f"{report.texts:,}"),
        ("negatives", f"{report.negatives:,}, of which {report.filled:,} random to fill up"),
        ("short lists", f"{report.short:,}"),
        ("left to draw from", f"{report.median_left:,} for the median query"),
    ]
    facts += [(f"dropped, {by}", words) for by, words in report.rate_words.items()]
    facts += [(f"positive at 0 or less, {by}", f"{count:,} queries") for by, count in report.fell_back.items()]
    if report.scores_dropped:
        facts.append(("scores dropped", f"{report.scores_dropped:,} examples"))
    if report.recall is not None:
        facts.append(("recall of the graph", f"{report.recall:.1%}"))
    print_facts([*facts, ("result", str(out))])
