"""The sample library in two minutes: index it, ask it questions in many languages, and score the answers.

    python examples/demo.py [LIBRARY]        # the library's folder; default ./library

174 short articles in 25 languages, written for this project, and 163 questions whose answers are known. Prints one
explained answer, the same reranked with the time that takes, and for each kind of question how often the first hit, and
one of the first ten, is right.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trivec
from trivec.search.hits import Hit
from trivec.search.readers import read_documents

HERE = Path(__file__).parent / "library"
MODES = ("dense", "sparse", "bm25", "multi", "hybrid")
QUESTION = "Wie hoch ist der höchste Berg Afrikas?"
RERANKER, DEPTH = "m3-small-reranker", 20


def read_questions() -> list[dict[str, object]]:
    """All questions: text, language, kind, and ids of the articles that answer them."""
    files = sorted((HERE / "questions").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def show(hit: Hit) -> None:
    """One hit with the reasons why."""
    explanation = hit.explain()
    print(f"  {hit.rank}. {hit.title}  [{hit.metadata['lang']}]  score {hit.score:.3f}")
    print("     " + "  ".join(f"{name} {value:.3f}" for name, value in hit.signals.items()))
    pairs = [f"{a.query_word} ~ {a.document_word} {a.similarity:.2f}" for a in explanation.alignments[:4]]
    print("     " + "   ".join(pairs))


def share_answered(hits: Sequence[Sequence[Hit]], questions: Sequence[dict[str, object]], depth: int) -> float:
    """How many of the questions have an answering article among their first hits."""
    right = [any(hit.id in row["answers"] for hit in found[:depth]) for found, row in zip(hits, questions, strict=True)]  # type: ignore[operator]
    return sum(right) / len(right)


def main() -> None:
    """Index, ask, score."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "library")
    with trivec.open(folder) as library:
        print(f"indexing the sample library into {folder} ...")
        report = library.add(read_documents(HERE / "articles"), progress=True)
        library.optimize()
        info = library.info()
        print(f"{info.documents} articles in {len(info.languages)} languages ({report.added} new)\n\n{QUESTION}")
        for hit in library.search(QUESTION, k=3):
            show(hit)
        print_reranked(library)
        print_scores(library)
    print(f'\nnow ask your own: trivec search {folder} "how do plants make sugar?" --explain')


def print_reranked(library: trivec.Collection) -> None:
    """The same question, its first hits read together with it."""
    reranker = trivec.load_reranker(RERANKER)
    start = time.perf_counter()
    hits = library.search(QUESTION, k=3, reranker=reranker, depth=DEPTH)
    took = time.perf_counter() - start
    print(f"\nreranked: {RERANKER} has read the first {DEPTH} hits; searching and reading took {1000 * took:.0f} ms")
    for hit in hits:
        assert hit.reranking is not None
        before = f"was {hit.reranking.first_rank}., logit {hit.reranking.score:.2f}"
        print(f"  {hit.rank}. {hit.title}  [{hit.metadata['lang']}]  {before}")


def print_scores(library: trivec.Collection) -> None:
    """The share of questions answered by the first hit / among the first ten, by kind of question and mode."""
    questions = read_questions()
    kinds = sorted({str(row["kind"]) for row in questions})
    groups = {kind: [row for row in questions if row["kind"] == kind] for kind in kinds} | {"all": questions}
    print(f"\nanswered by the first hit / among the first ten\n{'':10}", end="")
    print("".join(f"{kind + ' (' + str(len(rows)) + ')':>22}" for kind, rows in groups.items()))
    for mode in MODES:
        print(f"{mode:10}", end="")
        for rows in groups.values():
            hits = library.search_batch([str(row["text"]) for row in rows], mode=mode)
            print(f"{share_answered(hits, rows, 1):>13.0%} /{share_answered(hits, rows, 10):>5.0%}  ", end="")
        print()


if __name__ == "__main__":
    main()
