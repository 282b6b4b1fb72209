"""``trivec search``: queries to hits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags, Query

if TYPE_CHECKING:
    from trivec.search.collection import Collection
    from trivec.search.hits import Hit
    from trivec.search.options import SearchOptions
    from trivec.search.second_stage import SecondStage

_BATCH = 64
"""Queries of standard input encoded together."""

_RANKING = Group("Ranking", sort_key=1)


@Parameter(name="*", group=_RANKING)
@dataclass(frozen=True)
class RankingFlags:
    """How hits are found and ordered; what is not given is the library's own way."""

    mode: Literal["hybrid", "dense", "sparse", "bm25", "multi"] | None = None
    """hybrid mixes all signals; any other ranks by that signal alone."""

    weights: str | None = None
    """Of the signals in the mix, such as dense=1,bm25=0.2,multi=1."""

    fusion: str | None = None
    """The rule that mixes: weighted-sum, rrf, z-score or min-max."""

    candidates: int | None = None
    """How many passages each first-stage signal proposes."""

    shortlist: int | None = None
    """How many of the proposed passages get a MaxSim score."""

    rerank: str | None = None
    """A reranker, by name or folder: it reads the best hits with the query, and
    puts them in its order. As the last word, or before another option, it is
    m3-small-reranker; an empty name is none."""

    depth: int | None = None
    """How many hits it reads. Without it: what was tuned, else 100."""

    first_stage: float | None = None
    """Weight of the order before beside its own. Without it: what was tuned,
    else what suits the reranker."""

    passages: bool = False
    """List every matching passage, not each document once."""

    save: bool = False
    """Keep these ranking options with the library for later searches."""

    def changed(self, options: SearchOptions) -> SearchOptions:
        """A library's options, changed by what was given.

        Raises:
            InputError: one cannot be used, or two contradict each other.
        """
        from trivec.errors import InputError
        from trivec.search.fusion.typed_weights import read_weights

        weights = None if self.weights is None else read_weights(self.weights, "--weights")
        changed = options.changed(
            mode=self.mode,
            weights=weights,
            fusion=self.fusion,
            candidates=self.candidates,
            shortlist=self.shortlist,
            per_passage=self.passages or None,
            reranker=self.rerank,
            depth=self.depth,
            first_stage=self.first_stage,
        )
        if not changed.reranker and (self.depth is not None or self.first_stage is not None):
            raise InputError("--depth and --first-stage are for a reranker: name one by --rerank")
        if changed.mode != "hybrid" and (self.weights is not None or self.fusion is not None):
            given = "--weights" if self.weights is not None else "--fusion"
            raise InputError(f"{given} is for mode hybrid, and the mode is {changed.mode}: give one of the two")
        return changed


DEFAULT_RANKING = RankingFlags()


def search(
    library: Path,
    query: Query,
    /,
    *,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = 10,
    where: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    explain: bool = False,
    ranking: RankingFlags = DEFAULT_RANKING,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Search a library.

    For example:
      trivec search library "how do plants make sugar?"
      trivec search library "Zucker" --where 'lang = "de"' --explain
      trivec search library - --json < queries.txt > hits.jsonl
      trivec search library "Zucker" --rerank
      trivec search library "Zucker" --rerank BAAI/bge-reranker-v2-m3 --depth 50
      trivec search library "x" --weights dense=1,bm25=0.5 --save

    For each hit: rank, score, title, id, the place that fits best, and the
    score by each signal. A search without hits is no error.

    Args:
        library: Folder of the library.
        query: A question or keywords in any language of the model; - reads
            one query a line from standard input (with --json, one JSON
            object a line comes out).
        k: How many documents.
        where: A filter over metadata: = != < <= > >= in, all, exists, and,
            or, not.
        explain: Say why: what each signal added, matched words, and the
            tokens of query and document that are most alike.
    """
    from trivec.cli.leaving import keep
    from trivec.errors import InputError
    from trivec.search.opening import open_collection

    if query != "-" and not query.strip():
        raise InputError("the query is blank: give a question or keywords")
    with keep(open_collection(library, create=False)) as collection:
        options = ranking.changed(collection.search_options)
        if query == "-":
            _search_lines(collection, k, where, options, explain, output)
        else:
            (hits,) = collection.search_batch([query], k, where=where, options=options)
            _print_one(query, hits, explain, output)
        if ranking.save:
            collection.configure(options)
            output.note(f"{library} now searches by {_described(options, collection.second_stage(options))}")
    return 0


def _print_one(query: str, hits: list[Hit], explain: bool, output: OutputFlags) -> None:
    from trivec.cli.hit_lines import print_hits
    from trivec.cli.output import emit

    if not hits:
        output.note("nothing found")
    result = _result(query, hits, explain) if output.as_json else None
    emit(output, result, lambda: print_hits(hits, explain))


def _search_lines(
    collection: Collection, k: int, where: str | None, options: SearchOptions, explain: bool, output: OutputFlags
) -> None:
    from trivec.cli.hit_lines import print_hits
    from trivec.cli.output import json_stream, json_text, print_line

    def search_all() -> Iterator[tuple[str, list[Hit]]]:
        for queries in _query_batches():
            yield from zip(queries, collection.search_batch(queries, k, where=where, options=options), strict=True)

    if output.as_json:
        with json_stream(output) as stream:
            for query, hits in search_all():
                stream.write(json_text(_result(query, hits, explain), stream))
        return
    for query, hits in search_all():
        print_line([("# ", "dim"), (query, "bold")])
        print_hits(hits, explain)


def _result(query: str, hits: list[Hit], explain: bool) -> dict[str, Any]:
    """The JSON of one query."""
    rows = [{**hit.to_dict(), "explanation": hit.explain().to_dict()} if explain else hit.to_dict() for hit in hits]
    return {"query": query, "hits": rows}


def _query_batches() -> Iterator[list[str]]:
    """The lines of standard input that are not blank.

    Raises:
        InputError: there is none, or a line is not UTF-8.
    """
    from trivec.errors import InputError

    batch: list[str] = []
    found = False
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            query = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"stdin:{number}: not utf-8 (byte {error.start + 1}): convert the queries first"
            ) from error
        if query:
            batch.append(query)
            found = True
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
    if not found:
        raise InputError("there is no query on standard input: give one a line")


def _described(options: SearchOptions, second: SecondStage | None) -> str:
    mixed = f", {options.fusion}" if options.mode == "hybrid" else ""
    weights = ", ".join(f"{name}={weight:g}" for name, weight in (options.weights or {}).items())
    described = f"mode {options.mode}{mixed}{f', weights {weights}' if mixed and weights else ''}"
    if second is None:
        return described
    share = f", first stage {second.first_stage:g}" if second.first_stage else ""
    return f"{described}, the first {second.depth} reranked by {options.reranker}{share}"
