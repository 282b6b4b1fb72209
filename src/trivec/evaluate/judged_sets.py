"""`JudgedSet`: queries, documents, and which answers which: what retrieval is measured on.

From a folder in BEIR layout, from a file of examples, or from examples that are held out of the training data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivec.data.bad_lines import BadLines
from trivec.data.examples import Example
from trivec.data.json_rows import read_lines
from trivec.data.reading import read_examples
from trivec.errors import InputError
from trivec.evaluate.measures import Relevance
from trivec.search.readers import read_documents
from trivec.search.readers.reading import SourceFile
from trivec.types import Document, join_title

_JUDGEMENTS = ("qrels/dev.tsv", "qrels/test.tsv", "qrels.tsv")
_ENDINGS = ("", ".gz", ".zst")


@dataclass(frozen=True)
class JudgedQuery:
    """A query.

    Attributes:
        id: its name in the judgements.
        text: as it was asked.
        prompt: stands before it in place of the model's, unless it is None.
        language: its code, or empty.
    """

    id: str
    text: str
    prompt: str | None = None
    language: str = ""


@dataclass(frozen=True)
class JudgedSet:
    """What retrieval is measured on.

    Attributes:
        name: for tables.
        queries: each with an id of its own.
        documents: each with an id of its own.
        relevance: grades by query id and document id; above 0 is right.
    """

    name: str
    queries: Sequence[JudgedQuery]
    documents: Sequence[Document]
    relevance: Relevance

    def __post_init__(self) -> None:
        if not self.queries or not self.documents:
            raise InputError(
                f"{self.name} has {len(self.queries)} judged queries and {len(self.documents)} documents: nothing can "
                "be measured on it, give another set"
            )

    @property
    def texts(self) -> dict[str, str]:
        """By document id, with the title before the text."""
        return {document.id: join_title(document.title, document.text) for document in self.documents}


def read_judged(path: Path) -> JudgedSet:
    """A set from disk: a folder with ``corpus.jsonl``, ``queries.jsonl`` and judgements, or examples.

    Of ``qrels/dev.tsv``, ``qrels/test.tsv`` and ``qrels.tsv`` the first that is there counts.

    Raises:
        InputError: it cannot be read, or holds no judged query.
    """
    if not path.is_dir():
        return from_examples(path.name, read_examples([path], bad=BadLines()))
    queries = _file(path, "queries.jsonl")
    relevance = _read_judgements(path)
    documents = list(read_documents(path))
    rows = (row for _, row in read_lines(SourceFile(queries, queries.name), BadLines().reading()))
    found = {str(row["_id"]): row for row in rows if isinstance(row, dict) and {"_id", "text"} <= set(row)}
    judged = [_query(query, found[query]) for query in relevance if query in found]
    return JudgedSet(path.name, judged, documents, relevance)


def _query(name: str, row: Mapping[str, object]) -> JudgedQuery:
    language = row.get("lang") or row.get("language") or ""
    return JudgedQuery(name, str(row["text"]), language=str(language))


def _file(folder: Path, name: str) -> Path:
    for ending in _ENDINGS:
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    raise InputError(f"{folder} has no {name}: give a folder with corpus.jsonl, queries.jsonl and qrels.tsv, or a file")


def _read_judgements(folder: Path) -> dict[str, dict[str, int]]:
    path = next((folder / name for name in _JUDGEMENTS if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder} has none of {', '.join(_JUDGEMENTS)}: add the judgements, with three columns")
    relevance: dict[str, dict[str, int]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split()
        try:
            relevance.setdefault(cells[0], {})[cells[-2]] = int(float(cells[-1]))
        except (ValueError, IndexError) as error:
            if number > 1 and cells:  # the first line may be a header
                raise InputError(f"{path}:{number}: {line!r:.60} is no query id, passage id and score") from error
            relevance.pop(cells[0] if cells else "", None)
    return {query: passages for query, passages in relevance.items() if any(score > 0 for score in passages.values())}


def from_examples(name: str, examples: Iterable[Example], more_passages: Iterable[str] = ()) -> JudgedSet:
    """A set of the queries and passages of examples; equal texts are one query or passage.

    Args:
        name: of the set.
        examples: their positives are right for their queries, everything else is not.
        more_passages: wrong for all queries, unless they are among the positives.
    """
    queries: dict[str, JudgedQuery] = {}
    passages: dict[str, str] = {}
    relevance: dict[str, dict[str, int]] = {}
    for example in examples:
        key = f"{example.prompt or ''}\n{example.query}"
        query = queries.setdefault(key, JudgedQuery(f"q{len(queries)}", example.query, example.prompt))
        for text in (*example.positives, *example.negatives):
            passages.setdefault(text, f"p{len(passages)}")
        relevance.setdefault(query.id, {}).update({passages[text]: 1 for text in example.positives})
    for text in more_passages:
        passages.setdefault(text, f"p{len(passages)}")
    documents = [Document(number, text) for text, number in passages.items()]
    return JudgedSet(name, list(queries.values()), documents, relevance)


def held_out(queries: Iterable[str], share: float, most: int) -> frozenset[int]:
    """Which examples to hold out: all of a query or none, the same ones every time, whatever else is in the data.

    Args:
        queries: of all examples, in order.
        share: of the queries, about.
        most: queries at most; those with the smallest hashes are taken.

    Returns:
        Numbers of examples.
    """
    limit = int(share * 2**64)
    chosen: dict[int, list[int]] = {}
    for number, query in enumerate(queries):
        key = int.from_bytes(hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        if key < limit:
            chosen.setdefault(key, []).append(number)
    return frozenset(number for key in sorted(chosen)[:most] for number in chosen[key])
