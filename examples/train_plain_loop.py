"""Train all three heads in a loop of one's own: the objectives of `trivec train`, without its trainer.

python examples/train_plain_loop.py [MODEL]        # a name that trivec models lists, or a folder; default m3-small
"""

import sys
import tempfile
from pathlib import Path

import torch

import trivec
from trivec.data import Example
from trivec.encode.loading import find_checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.train.collate import CollateOptions, Collator
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import M3, GroupInfo, M3Options
from trivec.train.saving import save_model
from trivec.train.split_batch import SplitOptions, encode_groups

ANSWERS = {
    "How do plants make sugar?": "Photosynthesis turns light, water and carbon dioxide into glucose.",
    "Why is the sky blue?": "Air scatters short waves of sunlight more than long ones.",
    "What keeps planes in the air?": "A wing pushes air down, and the air pushes the wing up.",
    "Wie entsteht Regen?": "Feuchte Luft steigt auf, kühlt ab, und Tropfen fallen aus den Wolken.",
}


def main(model: str) -> None:
    """Ten steps on four pairs, and the trained model at work."""
    checkpoint = find_checkpoint(model, precision="float32")
    encoder = TrainableEncoder.from_checkpoint(checkpoint, freeze_embeddings=True, dropout=0.0)
    objective = M3(M3Options(temperature=0.02, distill_from_step=5))
    examples = [Example(query, (answer,)) for query, answer in ANSWERS.items()]
    prompts = CollateOptions(query_prompt=checkpoint.query_prompt, document_prompt=checkpoint.document_prompt)
    pad_id = int(str(checkpoint.config.get("pad_token_id") or 0))
    collate = Collator(TextTokenizer.of(checkpoint), pad_id, prompts)
    optimizer = torch.optim.AdamW([weight for weight in encoder.parameters() if weight.requires_grad], lr=2e-5)
    for step in range(10):
        batch = collate(examples, range(len(examples)), epoch=step)
        queries, passages = encode_groups(encoder, batch, SplitOptions("checkpointed", max_tokens=64))
        loss = objective(queries, passages, GroupInfo(batch.group_size, step=step, duplicates=batch.duplicates))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        print(f"step {step + 1}: {loss.total:.4f}", *(f"{name} {part:.3f}" for name, part in loss.parts.items()))
    with tempfile.TemporaryDirectory() as folder:
        trained = trivec.load(save_model(encoder, Path(folder), "trained"))
        questions, answers = trained.encode_queries(list(ANSWERS)), trained.encode_documents(list(ANSWERS.values()))
        scores = trivec.score(questions, answers)
    print("first answer right:", sum(row.argmax() == place for place, row in enumerate(scores.hybrid)), "of 4")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "m3-small")
