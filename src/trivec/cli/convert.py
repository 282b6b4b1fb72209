"""``trivec convert``: a judged set in BEIR's layout."""

from __future__ import annotations

from pathlib import Path

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags


def convert(judged: Path, folder: Path, /, *, split: str | None = None, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Write a judged set in the layout of BEIR.

    For example:
      trivec convert miracl-v1.0-sw beir/miracl-sw
      trivec convert mteb/T2Retrieval beir/t2 --split dev

    Args:
        judged: A set in any layout that trivec eval reads.
        folder: A new folder: it gets corpus.jsonl, queries.jsonl and
            qrels/SPLIT.tsv, or nothing at all if something fails.
        split: Which judgements of several. Without it: dev, else test.
    """
    from trivec.cli.output import emit, print_line
    from trivec.evaluate.layouts import read_judged
    from trivec.evaluate.layouts.writing import write_judged

    found = read_judged(judged, split)
    write_judged(found, folder, (split or "test").replace("/", "-"))
    counts = {"documents": len(found.documents), "queries": len(found.queries)}
    told = f"{folder}: {counts['documents']:,} documents, {counts['queries']:,} queries"
    emit(output, {"folder": str(folder), **counts} if output.as_json else None, lambda: print_line([(told, "")]))
    return 0
