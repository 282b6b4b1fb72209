"""AIR-Bench 24.04 and 24.05: held-out queries by task, domain and language (Chen et al. 2024, 2412.13102).

    qa_web_en/AIR-Bench_24.05/default/corpus.jsonl                       id, text
    qa_web_en/AIR-Bench_24.05/default/SPLIT_queries.jsonl                id, text
    qrels-qa_web_en-SPLIT/AIR-Bench_24.05/default/SPLIT_qrels.jsonl      qid, docid, relevance

The last is the same path in a folder of its own beside the first; the judgements may as well lie next to the queries.
In the place of ``default`` the long documents have names such as ``llama2``. A folder further up may be given if there
is one set in it.

Judgements are public for the dev split, which 24.05 alone has. Those of the test split are not: the leaderboard
measures it, from rankings that are handed in, see `trivec.evaluate.air_bench_bundle`. The main measure is nDCG@10 for
``qa``, Recall@10 for ``long-doc``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, read_queries, splits
from trivec.evaluate.layouts.judgements import read_judgements
from trivec.search.readers import read_documents
from trivec.types import Document

_VERSION = "AIR-Bench_"
_QUERIES = r"([^/]+)_queries\.jsonl"
_COLLECTION = re.compile(r"(?P<task>qa|long-doc)_(?P<domain>.+)_[^_]+")


@dataclass(frozen=True)
class AirBenchSet:
    """A set, which is named by where it lies: ``TASK_DOMAIN_LANGUAGE/VERSION/DATASET``.

    Attributes:
        home: the folder with its corpus and queries.
    """

    home: Path

    @property
    def dataset(self) -> str:
        """Such as ``default``."""
        return self.home.name

    @property
    def version(self) -> str:
        """Such as ``AIR-Bench_24.05``."""
        return self.home.parent.name

    @property
    def collection(self) -> str:
        """Such as ``qa_web_en``."""
        return self.home.parents[1].name

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.collection}-{self.dataset}"

    @property
    def task(self) -> str:
        """``qa`` or ``long-doc``."""
        return self._part("task")

    @property
    def domain(self) -> str:
        """Such as ``web``."""
        return self._part("domain")

    @property
    def language(self) -> str:
        """Such as ``en``: the last part of the collection's name."""
        return self.collection.rpartition("_")[2]

    def _part(self, name: str) -> str:
        match = _COLLECTION.fullmatch(self.collection)
        if match is None:
            raise InputError(
                f"{self.home.parents[1]} is not named as AIR-Bench names its sets, such as qa_web_en or "
                "long-doc_arxiv_en: give it its name back"
            )
        return match[name]


def find_sets(folder: Path) -> list[AirBenchSet]:
    """The sets in a folder: itself, or those of its versions, or of the collections in it.

    Raises:
        InputError: there is none.
    """
    folder = folder.absolute()
    homes = _sets(folder) or [home for inner in sorted(folder.glob("*")) for home in _sets(inner)]
    if not homes:
        raise InputError(
            f"{folder} holds no set of AIR-Bench: give a folder such as qa_web_en, with "
            "AIR-Bench_24.05/default/corpus.jsonl in it"
        )
    return [AirBenchSet(home) for home in homes]


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this: it is or holds a version of AIR-Bench."""
    return bool(_sets(folder.absolute()))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; its queries have the language of the name, such as ``qa_web_en``.

    Raises:
        InputError: it cannot be read, or its judgements are not there.
    """
    home, *others = _sets(folder.absolute())
    if others:
        names = ", ".join(path.relative_to(folder.absolute()).as_posix() for path in (home, *others))
        raise InputError(f"{folder} holds several sets of AIR-Bench: name one of {names}")
    one = AirBenchSet(home)
    asked = splits(home, _QUERIES)
    there = {name: found for name in asked if (found := _judgements(home, name)) is not None}
    if not there or (split in asked and split not in there):
        raise _not_judged(home, split, asked)
    chosen = choose_split(there, split, home, "SPLIT_qrels.jsonl")
    queries = read_queries(asked[chosen], one.language)
    return judged_set(one.name, queries, _documents(home), read_judgements([there[chosen]]))


def read_unjudged(one: AirBenchSet, split: str) -> JudgedSet:
    """All queries of a split, and no judgements.

    Raises:
        InputError: it cannot be read.
    """
    queries = read_queries(needed(one.home, f"{split}_queries.jsonl"), one.language)
    return JudgedSet(one.name, list(queries.values()), _documents(one.home), {})


def _documents(home: Path) -> list[Document]:
    return list(read_documents(needed(home, "corpus.jsonl")))


def _sets(folder: Path) -> list[Path]:
    """Folders of single sets: this one, or those below it."""
    homes = [folder] if folder.parent.name.startswith(_VERSION) else []
    homes += sorted(folder.glob("*")) if folder.name.startswith(_VERSION) else sorted(folder.glob(f"{_VERSION}*/*"))
    return [home for home in homes if splits(home, _QUERIES)]


def _judgements(home: Path, split: str) -> Path | None:
    name = f"{split}_qrels.jsonl"
    collection = home.parents[1]
    beside = collection.with_name(f"qrels-{collection.name}-{split}") / home.relative_to(collection)
    return existing(home / name) or existing(beside / name)


def _not_judged(home: Path, split: str | None, asked: Iterable[str]) -> InputError:
    split = split or ("dev" if "dev" in asked else "test")
    where = f"{home}/{split}_qrels.jsonl, nor qrels-{home.parents[1].name}-{split} beside {home.parents[1]}"
    if split == "test":
        return InputError(
            f"there is neither {where}: the judgements of AIR-Bench's test splits are not public, so measure the dev "
            "split, or write rankings for its leaderboard by trivec air-bench"
        )
    return InputError(f"there is neither {where}: put the judgements there")
