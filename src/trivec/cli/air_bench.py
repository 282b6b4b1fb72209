"""``trivec air-bench``: rankings for the leaderboard of AIR-Bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_LONG, DEFAULT_OUTPUT, LongFlags, OutputFlags, Precision


def air_bench(
    model: str,
    sets: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    /,
    *,
    out: Path,
    name: str | None = None,
    system: str = "hybrid",
    split: str = "test",
    max_length: int | None = None,
    cache: Path | None = None,
    precision: Precision | None = None,
    long: LongFlags = DEFAULT_LONG,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Write rankings for the leaderboard of AIR-Bench.

    For example:
      trivec air-bench m3-small qa_web_en long-doc_arxiv_en --out m3-small.zip
      trivec air-bench m3-small air-bench/ --system dense --out dense.zip

    The judgements of its test splits are not public: the leaderboard measures
    rankings, 1,000 documents for each query. Where judgements are there, as
    of the dev splits, trivec eval measures.

    Args:
        model: A name that trivec models lists, or a folder.
        sets: Folders as they are downloaded, such as qa_web_en, or one that
            holds several of them.
        out: A new zip file: it gets all sets, or is not written at all.
        name: Whose rankings they are, for the leaderboard. Without it: the
            model's name.
        system: One of those that trivec eval knows, or weights.
        split: Whose queries: test or dev.
        max_length: Tokens that the model sees of a text or passage. Without
            it: as many as it can.
        cache: Folder that keeps vectors: a run that was stopped goes on.
        precision: float32, or int8 for a model that is quantised. Without it:
            what the model's folder says, else float32.
    """
    from trivec.cli.output import emit, print_line
    from trivec.encode.loading import load
    from trivec.evaluate.air_bench_bundle import BundleOptions, write_bundle
    from trivec.evaluate.layouts.air_bench import find_sets
    from trivec.search.long_documents import LongDocuments

    found = [one for folder in sets for one in find_sets(folder)]
    encoder = load(model, precision=precision)
    options = BundleOptions(name or encoder.name, system, split, long.options() or LongDocuments(), max_length)
    queries = write_bundle(encoder, found, out, options, cache, output.progress, output.note)
    told = f"{out}: {len(queries):,} sets, {sum(queries.values()):,} queries"
    emit(output, {"file": str(out), "queries": queries} if output.as_json else None, lambda: print_line([(told, "")]))
    return 0
