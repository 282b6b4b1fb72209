"""``trivec eval``: how well a model retrieves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_LONG, DEFAULT_OUTPUT, LongFlags, OutputFlags, Precision, Several

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trivec.evaluate.evaluation import Evaluation
    from trivec.evaluate.judged_sets import JudgedSet
    from trivec.evaluate.options import EvaluateOptions
    from trivec.evaluate.pair_evaluation import PairEvaluation
    from trivec.evaluate.reranked_sets import RerankingOptions
    from trivec.evaluate.text_pairs import TextPairs
    from trivec.search.collection import Collection


def evaluate(
    model: str,
    sets: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    /,
    *,
    queries: Path | None = None,
    qrels: Path | None = None,
    out: Path | None = None,
    without_texts: bool = False,
    card: Path | None = None,
    preset: str | None = None,
    systems: Several | None = None,
    rerank: str | None = None,
    depth: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=True)] = None,
    first_stage: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None,
    measure: Annotated[Several | None, Parameter(name=["--measure", "--measures"])] = None,
    split: str | None = None,
    cache: Path | None = None,
    candidates: int | None = None,
    max_length: int | None = None,
    without_self: bool | None = None,
    ties: Literal["trec", "stable"] | None = None,
    precision: Precision | None = None,
    long: LongFlags = DEFAULT_LONG,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Measure how well a model retrieves.

    For example:
      trivec eval m3-small beir/scifact beir/nfcorpus --out results
      trivec eval m3-small set/ --systems dense bm25 dense=1,bm25=0.2,multi=1
      trivec eval m3-small mldr-v1.0-de --preset m3-mldr
      trivec eval run/model dev.jsonl --measure nDCG@10 R@1000
      trivec eval m3-small set/ --rerank run/model --depth 10 50 100
      trivec eval m3-small set/ --rerank run/model --first-stage 0 0.5 1
      trivec eval library --queries queries.jsonl --qrels qrels.tsv

    A set is a folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels) or
    another, or a file of training examples; or pairs of sentences, graded by
    how like they are, or translations of each other. Every passage is
    encoded once and scored by every signal; all systems are made of that:
    each signal alone, M3's mixes, and the model's own (hybrid). Documents
    are cut into passages as in a library, and count by their best one.

    A library is measured as it is searched, one query at a time: with its
    candidates, its compression and its store. The time of a search is told
    too, and the documents of a set are not looked at.

    With --out, the folder gets report.html, results.json and a run file for
    each system, for trivec compare and trec_eval. With --cache, vectors are
    kept there: a run that was stopped goes on, and other systems cost next to
    nothing.

    Args:
        model: A name that trivec models lists, a folder, or a library.
        sets: Folders of sets, or files of examples.
        queries: For a library, instead of a set: one JSON object a line, with
            id and text.
        qrels: For a library: query 0 document grade, or query, document,
            grade.
        out: Folder of the results.
        without_texts: Leave queries and passages out of the report, for data
            that must not be passed on.
        card: Model card (README.md) that gets the results in its header, in
            the hub's form.
        preset: A published protocol: its systems, measures and lengths, such
            as m3-miracl, m3-mkqa, m3-mldr, beir, mr-tydi, ms-marco or
            trec-dl. What is said beside it goes first.
        systems: dense, sparse, bm25, multi, dense+sparse, dense+sparse+multi,
            hybrid, or weights. Without it, or as default: all that the model
            can. Also bm25-documents and bm25-words, BM25 over whole
            documents by subwords and by words.
        rerank: A reranker, by name or folder, that reads the first documents
            of the last system: that is one more system for each depth.
        depth: How many documents it reads; several give several systems.
            Without it: what was tuned for a library, else 100.
        first_stage: Weight of the order before beside its own; several give
            several systems. Without it: what was tuned for a library, else
            what suits the reranker.
        measure: nDCG@10, R@100, RR@10, AP, Success@5, P@5 and the like.
            Without it: the first three.
        split: Which judgements of several, such as test. Without it: dev,
            else test.
        cache: Folder that keeps vectors.
        candidates: Passages that each signal lists for the mixes. It is told
            where more of them could change a result. Without it: 1,000.
        max_length: Tokens that the model sees of a text or passage. Without
            it: as many as it can.
        without_self: Leave out a document whose id is that of the query, for
            sets whose queries are documents, such as ArguAna and Quora.
        ties: Equal scores by document id as trec_eval has them (trec, without
            it), or in the order of the documents (stable).
        precision: float32, or int8 for a model that is quantised. Without it:
            what the model's folder says, else float32.
    """
    from trivec.cli.eval_tables import show
    from trivec.cli.output import emit
    from trivec.cli.sources import is_library
    from trivec.errors import InputError
    from trivec.evaluate import results
    from trivec.evaluate.cards import write_card
    from trivec.evaluate.presets import preset as named
    from trivec.evaluate.reporting import write_report

    options = named(
        preset,
        systems=systems,
        measures=measure,
        ties=ties,
        long_documents=long.options(),
        candidates=candidates,
        max_length=max_length,
        without_self=without_self,
    )
    second = _Reranked(rerank, depth, first_stage)
    wanted = _sets(sets, split, queries, qrels)
    if out is not None:
        results.check_folder(out)
    in_library = is_library(Path(model))
    if queries is not None and not in_library:
        raise InputError(f"--queries and --qrels are for libraries, and {model} is none: give folders of sets")
    measured: Iterator[Evaluation | PairEvaluation]
    if in_library:
        _refuse({"--cache": cache, "--precision": precision, "--preset": preset, "--max-length": max_length})
        measured = _in_library(model, wanted, options, output.progress, second)
    else:
        measured = _in_model(model, wanted, options, cache, precision, output.progress, second.in_model())
    found = results.Results(options)
    for one in measured:
        found.add(one)
        _tell(one, output)
        if out is not None:
            results.write_results(out, found)
            write_report(out / results.REPORT, found, not without_texts)
    if card is not None:
        write_card(card, found)
    emit(output, results.to_dict(found) if output.as_json else None, lambda: show(found))
    return 0


def _refuse(given: Mapping[str, object]) -> None:
    """Refuse options that a library has no use for."""
    from trivec.errors import InputError

    used = [name for name, value in given.items() if value is not None]
    if used:
        raise InputError(f"{', '.join(used)} is for models, and this is a library: leave it out")


def _in_model(
    model: str,
    wanted: Sequence[JudgedSet | TextPairs],
    options: EvaluateOptions,
    cache: Path | None,
    precision: Precision | None,
    show_progress: bool,
    reranking: RerankingOptions | None,
) -> Iterator[Evaluation | PairEvaluation]:
    from trivec.encode.loading import load
    from trivec.evaluate.evaluation import evaluate as measure_all
    from trivec.evaluate.judged_sets import JudgedSet
    from trivec.evaluate.pair_evaluation import evaluate_pairs

    encoder = load(model, precision=precision)
    for one in wanted:
        if isinstance(one, JudgedSet):
            yield measure_all(encoder, one, options, cache, show_progress, reranking)
        else:
            yield evaluate_pairs(options.shortened(encoder), one, options.systems, show_progress)


@dataclass(frozen=True)
class _Reranked:
    """What was said of a reranker."""

    name: str | None
    depths: tuple[int, ...] | None
    first_stages: tuple[float, ...] | None

    def __post_init__(self) -> None:
        from trivec.errors import InputError

        given = {"--depth": self.depths, "--first-stage": self.first_stages}
        names = [name for name, value in given.items() if value is not None]
        if self.name is None and names:
            verb = "is" if len(names) == 1 else "are"
            raise InputError(f"{' and '.join(names)} {verb} for a reranker: name one by --rerank")

    def in_model(self) -> RerankingOptions | None:
        """For the documents that a model finds."""
        from trivec.evaluate.reranked_sets import RerankingOptions
        from trivec.rerank.loading import load_reranker
        from trivec.search.second_stage import DEPTH

        if self.name is None:
            return None
        return RerankingOptions(load_reranker(self.name), self.depths or (DEPTH,), first_stages=self.first_stages or ())

    def in_library(self, library: Collection) -> RerankingOptions | None:
        """For those that a library finds, which may know what suits this reranker."""
        from trivec.evaluate.reranked_sets import RerankingOptions

        second = None if self.name is None else library.second_stage(library.search_options.changed(reranker=self.name))
        if second is None:
            return None
        depths, weights = self.depths or (second.depth,), self.first_stages or (second.first_stage,)
        return RerankingOptions(second.reranker, depths, first_stages=weights)


def _in_library(
    library: str,
    wanted: Sequence[JudgedSet | TextPairs],
    options: EvaluateOptions,
    show_progress: bool,
    second: _Reranked,
) -> Iterator[Evaluation | PairEvaluation]:
    from trivec.cli.leaving import keep
    from trivec.errors import InputError
    from trivec.evaluate.judged_sets import JudgedSet
    from trivec.evaluate.library_evaluation import evaluate_library
    from trivec.search.opening import open_collection

    with keep(open_collection(library, create=False)) as collection:
        for one in wanted:
            if not isinstance(one, JudgedSet):
                raise InputError(f"{one.name} holds pairs, and a library is searched: measure a model on them")
            yield evaluate_library(collection, one, options, show_progress, second.in_library(collection))


def _sets(
    paths: Sequence[Path], split: str | None, queries: Path | None, qrels: Path | None
) -> list[JudgedSet | TextPairs]:
    """The sets that were named, or one of loose files."""
    from trivec.errors import InputError
    from trivec.evaluate.layouts import read_judged
    from trivec.evaluate.layouts.files import judged_set, read_queries
    from trivec.evaluate.runs import read_relevance
    from trivec.evaluate.text_pairs import read_pairs

    if (queries is None) != (qrels is None) or (queries is None) == (not paths):
        raise InputError("give folders of sets, or for a library --queries and --qrels")
    if queries is not None and qrels is not None:
        return [judged_set(queries.name.partition(".")[0], read_queries(queries), [], read_relevance(qrels))]
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        raise InputError(f"two sets have the same name in {', '.join(names)}: rename one, or measure it by itself")
    return [read_pairs(path) or read_judged(path, split) for path in paths]


def _tell(evaluation: Evaluation | PairEvaluation, output: OutputFlags) -> None:
    """What a reader of the numbers must know."""
    from trivec.evaluate.evaluation import Evaluation

    if not isinstance(evaluation, Evaluation):
        return
    name = evaluation.judged.name
    if evaluation.unknown_documents:
        output.note(f"{name}: {evaluation.unknown_documents} relevant documents are not in the corpus")
    uncertain = {system: result.uncertain for system, result in evaluation.systems.items() if result.uncertain}
    if uncertain:
        told = ", ".join(f"{system} for {count} queries" for system, count in uncertain.items())
        output.note(f"{name}: more --candidates could change {told}")
