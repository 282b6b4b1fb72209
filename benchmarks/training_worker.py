"""One engine of `training_speed.py`: makes a training step ready, then takes one for every line on its input.

Run by the benchmark, with the interpreter that has the engine installed. Its first line names the engine's version;
then it answers each line with the seconds and the CPU seconds of a step: forward pass, loss, backward pass and AdamW.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

QUERY_TOKENS, PASSAGE_TOKENS, TEMPERATURE, RATE = 32, 256, 0.02, 1e-5


def trivec_step(model: str, groups: list[dict[str, Any]], heads: list[str]) -> Callable[[], None]:
    """Ours: no padding is computed, texts of a batch once."""
    from trivec.data import Example
    from trivec.encode.loading import find_checkpoint
    from trivec.encode.tokenizer import TextTokenizer
    from trivec.train.collate import CollateOptions, Collator
    from trivec.train.model import TrainableEncoder
    from trivec.train.objectives import M3, GroupInfo, M3Options
    from trivec.train.split_batch import SplitOptions, encode_groups

    checkpoint = find_checkpoint(model, precision="float32")
    encoder = TrainableEncoder.from_checkpoint(checkpoint, heads, multi_width=checkpoint.hidden_size)
    objective = M3(M3Options(heads=encoder.heads, temperature=TEMPERATURE))
    examples = [Example(group["query"], tuple(group["pos"]), tuple(group["neg"])) for group in groups]
    options = CollateOptions(1 + len(groups[0]["neg"]), QUERY_TOKENS, PASSAGE_TOKENS)
    pad_id = int(str(checkpoint.config.get("pad_token_id") or 0))
    collate = Collator(TextTokenizer.of(checkpoint), pad_id, options)
    optimizer = torch.optim.AdamW([weight for weight in encoder.parameters() if weight.requires_grad], lr=RATE)

    def step() -> None:
        batch = collate(examples, range(len(examples)))
        queries, passages = encode_groups(encoder, batch, SplitOptions())
        objective(queries, passages, GroupInfo(batch.group_size, step=1)).total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def flagembedding_step(model: str, groups: list[dict[str, Any]], heads: list[str]) -> Callable[[], None]:
    """FlagEmbedding's model for the same, with the settings of its example: all heads, self-distillation."""
    from FlagEmbedding.finetune.embedder.encoder_only.m3.modeling import EncoderOnlyEmbedderM3Model
    from FlagEmbedding.finetune.embedder.encoder_only.m3.runner import EncoderOnlyEmbedderM3Runner
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{model}/tokenizer.json", **special)
    unified = len(heads) > 1
    encoder = EncoderOnlyEmbedderM3Model(
        EncoderOnlyEmbedderM3Runner.get_model(model, torch_dtype=torch.float32),
        tokenizer=tokenizer,
        temperature=TEMPERATURE,
        sentence_pooling_method="mean",
        normalize_embeddings=True,
        unified_finetuning=unified,
        use_self_distill=unified,
        self_distill_start_step=0,
    ).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=RATE)
    sides = [group["query"] for group in groups], [text for group in groups for text in (*group["pos"], *group["neg"])]

    def step() -> None:
        queries, passages = (
            tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
            for texts, length in zip(sides, (QUERY_TOKENS, PASSAGE_TOKENS), strict=True)
        )
        encoder(queries=queries, passages=passages).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


ENGINES = {"trivec": trivec_step, "flagembedding": flagembedding_step}


def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--model", required=True)
    parser.add_argument("--groups", required=True)
    parser.add_argument("--heads", nargs="+", required=True)
    arguments = parser.parse_args()
    with open(arguments.groups, encoding="utf-8") as file:
        groups = json.load(file)
    torch.manual_seed(0)
    step = ENGINES[arguments.engine](arguments.model, groups, arguments.heads)
    step()
    _answer({"version": importlib.metadata.version({"flagembedding": "FlagEmbedding"}.get(arguments.engine, "trivec"))})
    for _ in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        step()
        taken = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        _answer(taken | {"most_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def _answer(value: dict[str, Any]) -> None:
    print(f"@{json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main()
