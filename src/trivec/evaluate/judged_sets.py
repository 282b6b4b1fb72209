"""`JudgedSet`: queries, documents, and which answers which: what retrieval is measured on.

`trivec.evaluate.layouts` reads them from files; here they are made of examples, such as those held out of training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trivec.data.examples import Example
from trivec.errors import InputError
from trivec.evaluate.measures import Relevance
from trivec.types import Document, join_title


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
        documents: each with an id of its own; none where a library has them.
        relevance: grades by query id and document id; above 0 is right. Empty where there are answers instead, or
            where nobody has judged yet.
        answers: by query id, where every document that holds one is right; see `trivec.evaluate.answers`.
    """

    name: str
    queries: Sequence[JudgedQuery]
    documents: Sequence[Document]
    relevance: Relevance
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.queries:
            raise InputError(f"{self.name} has no judged queries: nothing can be measured on it, give another set")

    def count_unknown(self, is_there: Callable[[str], bool], where: str) -> int:
        """How many documents are judged as relevant and are not there.

        Args:
            is_there: asked by document id.
            where: in words.

        Raises:
            InputError: there are none, or none of them is there.
        """
        relevant = sorted({name for grades in self.relevance.values() for name, grade in grades.items() if grade > 0})
        if not relevant:
            raise InputError(f"{self.name} judges no document as relevant: nothing can be measured on it")
        missing = [name for name in relevant if not is_there(name)]
        if len(missing) == len(relevant):
            raise InputError(
                f"none of the {len(relevant)} documents that {self.name} judges as relevant is in {where} (missing is "
                f"such as {missing[0]!r}): check that both name documents alike"
            )
        return len(missing)

    @property
    def texts(self) -> dict[str, str]:
        """By document id, with the title before the text."""
        return {document.id: join_title(document.title, document.text) for document in self.documents}


def from_examples(
    name: str, examples: Iterable[Example], more_passages: Iterable[str] = (), judges_negatives: bool = False
) -> JudgedSet:
    """A set of the queries and passages of examples; equal texts are one query or passage.

    Args:
        name: of the set.
        examples: their positives are right for their queries, everything else is not.
        more_passages: wrong for all queries, unless they are among the positives.
        judges_negatives: give negatives the grade 0, so that it is known whose they are.
    """
    queries: dict[str, JudgedQuery] = {}
    passages: dict[str, str] = {}
    relevance: dict[str, dict[str, int]] = {}
    for example in examples:
        key = f"{example.prompt or ''}\n{example.query}"
        query = queries.setdefault(key, JudgedQuery(f"q{len(queries)}", example.query, example.prompt))
        for text in (*example.positives, *example.negatives):
            passages.setdefault(text, f"p{len(passages)}")
        grades = relevance.setdefault(query.id, {})
        if judges_negatives:
            for text in example.negatives:
                grades.setdefault(passages[text], 0)
        grades.update({passages[text]: 1 for text in example.positives})
    for text in more_passages:
        passages.setdefault(text, f"p{len(passages)}")
    documents = [Document(number, text) for text, number in passages.items()]
    return JudgedSet(name, list(queries.values()), documents, relevance)


def hashed(text: str) -> int:
    """A number of 64 bits that depends on a text alone: order by it is as good as random, and the same every time."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


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
        key = hashed(query)
        if key < limit:
            chosen.setdefault(key, []).append(number)
    return frozenset(number for key in sorted(chosen)[:most] for number in chosen[key])
