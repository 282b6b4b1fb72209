"""AIR-Bench 24.04 and 24.05: held-out queries by task, domain and language (Chen et al. 2024, 2412.13102).

    qa_web_en/AIR-Bench_24.05/default/corpus.jsonl                       id, text
    qa_web_en/AIR-Bench_24.05/default/SPLIT_queries.jsonl                id, text
    qrels-qa_web_en-SPLIT/AIR-Bench_24.05/default/SPLIT_qrels.jsonl      qid, docid, relevance

The last is the same path in a folder of its own beside the first; the judgements may as well lie next to the queries.
In the place of ``default`` the long documents have names such as ``llama2``. A folder further up may be given if there
is one set in it.

Judgements are public for the dev split, which 24.05 alone has. Those of the test split are not: it is measured by the
leaderboard, from rankings that are handed in. The main measure is nDCG@10 for ``qa``, Recall@10 for ``long-doc``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, read_queries, splits
from trivec.evaluate.layouts.judgements import read_judgements
from trivec.search.readers import read_documents

_VERSION = "AIR-Bench_"
_QUERIES = r"([^/]+)_queries\.jsonl"


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
    asked = splits(home, _QUERIES)
    there = {name: found for name in asked if (found := _judgements(home, name)) is not None}
    if not there or (split in asked and split not in there):
        raise _not_judged(home, split, asked)
    chosen = choose_split(there, split, home, "SPLIT_qrels.jsonl")
    collection = home.parents[1].name
    queries = read_queries(asked[chosen], collection.rpartition("_")[2])
    documents = list(read_documents(needed(home, "corpus.jsonl")))
    return judged_set(f"{collection}-{home.name}", queries, documents, read_judgements([there[chosen]]))


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
            "split, or hand rankings in to its leaderboard"
        )
    return InputError(f"there is neither {where}: put the judgements there")
