"""MKQA: questions in 25 languages, the answers, and English passages to find them in (Longpre et al. 2021, 2007.15207).

    LANG.jsonl or mkqa/LANG.jsonl    id, question, answers
    corpus.jsonl                     the passages of BEIR's NQ: _id, title, text

A split is a language. Passages are cleaned as the published figures have it, title and text in one. There are no
judgements: a passage that holds an answer is right, so success (hit rate) is what can be measured; the papers call it
recall.
"""

from __future__ import annotations

from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.answers import clean, tokens
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, needed, rows, splits
from trivec.search.readers import read_documents
from trivec.types import Document, join_title

_LANGUAGES = "ar|da|de|en|es|fi|fr|he|hu|it|ja|km|ko|ms|nl|no|pl|pt|ru|sv|th|tr|vi|zh_cn|zh_hk|zh_tw"
_QUESTIONS = rf"(?:mkqa/)?({_LANGUAGES})\.jsonl"


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "corpus.jsonl") is not None and bool(splits(folder, _QUESTIONS))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The questions of a language that have an answer with a word in it.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, _QUESTIONS)
    language = choose_split(there, split, folder, "SPLIT.jsonl")
    queries, answers = [], {}
    for place, row in rows(there[language]):
        try:
            name, text = str(row["id"]), str(row["question"])
            own = [str(answer) for answer in row["answers"] if tokens(str(answer))]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{place}: {row!s:.60} is no question of MKQA: it needs id, question and answers"
            ) from error
        if own:
            queries.append(JudgedQuery(name, text, language=language))
            answers[name] = own
    documents = [
        Document(document.id, clean(join_title(document.title, document.text)))
        for document in read_documents(needed(folder, "corpus.jsonl"))
    ]
    return JudgedSet(f"{folder.name}-{language}", queries, documents, {}, answers)
