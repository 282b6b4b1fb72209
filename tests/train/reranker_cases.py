"""Recipes and checks that several tests of training rerankers need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from copy_task import rows, write

from trivec.train.option_groups import BatchFields, LearningFields
from trivec.train.reranker_options import RerankerEvaluationFields, RerankerOptions, RerankerRunFields
from trivec.types import FloatArray

PAIRS = [
    ("the capital city", "The capital city is on the river."),
    ("water", ""),
    ("river", "Die Hauptstadt und der Berg. " * 8),
    ("what is the library", "science book"),
]


def scored_rows(count: int) -> list[dict[str, Any]]:
    """Examples of the copy task with a teacher's scores."""
    return [row | {"pos_scores": [4.0], "neg_scores": [0.5, -1.0]} for row in rows(count, negatives=2)]


def recipe(model: Path, folder: Path, count: int = 60, **learning: Any) -> RerankerOptions:
    """A short run on the copy task, with data in a folder and the run beside it. Dropout stays on."""
    data = write(folder / "pairs.jsonl", rows(count, negatives=2))
    return RerankerOptions(
        data=(str(data),),
        model=str(model),
        out=folder / "run",
        learning=LearningFields(**{"learning_rate": 5e-3, "steps": 6, **learning}),
        batches=BatchFields(batch_size=8, group_size=3),
        evaluation=RerankerEvaluationFields(dev_share=0.2, dev_passages=40, evaluate_every=3),
        run=RerankerRunFields(checkpoint_every=4),
    )


def by_transformers(folder: Path, pairs: Sequence[tuple[str, str]], max_length: int = 64) -> FloatArray:
    """Logits by the stock classes, one pair at a time, with the token types of the tokenizer's own template."""
    import torch
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    logits = []
    for query, document in pairs:
        encoded = tokenizer(
            [query], [document], truncation="only_second", max_length=max_length, return_tensors="pt",
            return_token_type_ids=True,
        )  # fmt: skip
        types = encoded["token_type_ids"].clamp(max=model.config.type_vocab_size - 1)
        with torch.inference_mode():
            found = model(encoded["input_ids"], attention_mask=encoded["attention_mask"], token_type_ids=types).logits
        assert found.shape == (1, 1)
        logits.append(found.item())
    return np.asarray(logits, np.float32)
