"""Tasks of mteb over data that is made here, so that nothing is downloaded. To be imported where mteb is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict
from mteb.abstasks import (
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata

from trivec.evaluate.judged_sets import JudgedSet

SENTENCES = [
    ("the capital city is on the river", "die hauptstadt ist und der river", 4.0),
    ("a book of science in the library", "where is the mountain", 0.5),
    ("山水火木", "山水火木土金", 4.5),
    ("что это за город", "το της πόλη", 1.0),
    ("", "night water", 0.0),
    ("water at night", "night water", 5.0),
]


def metadata(name: str, kind: str, main_score: str, **more: Any) -> TaskMetadata:
    return TaskMetadata(
        name=name, type=kind, main_score=main_score, description="", dataset={"path": "none", "revision": "1"},
        eval_langs=["eng-Latn"], **more,
    )  # fmt: skip


class Retrieval(AbsTaskRetrieval):
    """A judged set as a task of retrieval, or of reranking if queries have candidates."""

    metadata = metadata("OwnRetrieval", "Retrieval", "ndcg_at_10")

    def __init__(
        self,
        judged: JudgedSet,
        candidates: Mapping[str, Sequence[str]] | None = None,
        instruction: str | None = None,
    ) -> None:
        super().__init__()
        queries = [{"id": query.id, "text": query.text} for query in judged.queries]
        if instruction is not None:
            queries = [{**row, "instruction": instruction} for row in queries]
        corpus = [{"id": one.id, "title": one.title, "text": one.text} for one in judged.documents]
        self.dataset = {
            "default": {
                "test": {
                    "queries": Dataset.from_list(queries),
                    "corpus": Dataset.from_list(corpus),
                    "relevant_docs": judged.relevance,
                    "top_ranked": candidates,
                }
            }
        }
        self.data_loaded = True


class Sts(AbsTaskSTS):
    metadata = metadata("OwnSts", "STS", "cosine_spearman")

    def load_data(self, **options: object) -> None:
        first, second, scores = zip(*SENTENCES, strict=True)
        rows = {"sentence1": first, "sentence2": second, "score": scores}
        self.dataset = DatasetDict({"test": Dataset.from_dict(rows)})
        self.data_loaded = True


class Pairs(AbsTaskPairClassification):
    metadata = metadata("OwnPairs", "PairClassification", "max_ap")

    def load_data(self, **options: object) -> None:
        texts = [first for first, _, _ in SENTENCES if first]
        rows = {
            "sentence1": texts * 2,
            "sentence2": texts + texts[1:] + texts[:1],
            "labels": [1] * len(texts) + [0] * len(texts),
        }
        self.dataset = DatasetDict({"test": Dataset.from_dict(rows)})
        self.data_loaded = True


class Bitext(AbsTaskBitextMining):
    metadata = metadata("OwnBitext", "BitextMining", "f1")

    def load_data(self, **options: object) -> None:
        texts = [first for first, _, _ in SENTENCES if first]
        self.dataset = DatasetDict({"test": Dataset.from_dict({"sentence1": texts, "sentence2": texts})})
        self.data_loaded = True


class Classification(AbsTaskClassification):
    metadata = metadata("OwnClassification", "Classification", "accuracy")

    def load_data(self, **options: object) -> None:
        rows = Dataset.from_dict({"text": ["山水火木", "the river and the mountain"] * 8, "label": [0, 1] * 8})
        self.dataset = DatasetDict({"train": rows, "test": rows})
        self.data_loaded = True


class Unreachable(Sts):
    metadata = metadata("OwnUnreachable", "STS", "cosine_spearman")

    def load_data(self, **options: object) -> None:
        raise ConnectionError("the hub is far away")


class Second(Retrieval):
    metadata = metadata("OwnSecond", "Retrieval", "ndcg_at_10")
    reachable = False

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        if not self.reachable:
            raise ConnectionError("the hub is far away")
        return super().evaluate(*arguments, **options)
