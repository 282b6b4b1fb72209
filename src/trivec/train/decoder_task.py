"""Training a reranker that is a language model: what `RerankerOptions` ask for, as a `Task`.

It is a cross-encoder with other rows and another head (`trivec.train.decoder_start`); all else is the same. Word
embeddings and the output layer stay as they are: in most models they are one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from trivec.encode.checkpoints import Checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.layered_types import has_heads
from trivec.rerank.prompts import PromptTokens, begin_token, published_prompt
from trivec.train.building import split_options
from trivec.train.decoder_start import find_decoder
from trivec.train.layered_loss import LayeredLoss
from trivec.train.layered_model import LayeredModel
from trivec.train.model import TrainableEncoder
from trivec.train.pair_loss import PairLoss
from trivec.train.reranker_task import RerankerTask, pair_lengths
from trivec.train.saving_decoders import save_decoder


@dataclass(frozen=True)
class DecoderTask(RerankerTask):
    """Training a language model on groups of pairs."""

    def find_model(self) -> Checkpoint:
        """The model to start from, with new heads if it shall get some."""
        options = self.options
        if options.positions is not None:
            raise InputError(f"positions is {options.positions}: language models have no table to extend, leave it out")
        checkpoint = find_decoder(options.model, options.decoder)
        layers = int(str(checkpoint.config["num_hidden_layers"]))
        if any(layer >= layers for layer in options.decoder.compress_layers):
            raise InputError(
                f"compress_layers is {list(options.decoder.compress_layers)}, and {checkpoint.name} has {layers} "
                f"layers: choose layers from 1 to {layers - 1}"
            )
        return checkpoint

    def make_encoder(self, checkpoint: Checkpoint) -> TrainableEncoder:
        """The model, ready to be trained."""
        is_layered = has_heads(checkpoint.config)
        made = self._make(checkpoint, LayeredModel if is_layered else TrainableEncoder)
        made.backbone.get_input_embeddings().requires_grad_(False)
        made.dense_layers.requires_grad_(is_layered)
        if isinstance(made, LayeredModel):
            made.merged_behind = self.options.decoder.compress_layers
            made.behind = self.rows(checkpoint).behind
        return made

    def make_loss(self, encoder: TrainableEncoder) -> PairLoss:
        """The module that is trained."""
        if not isinstance(encoder, LayeredModel):
            return super().make_loss(encoder)
        decoder = self.options.decoder
        objective = replace(self._objective(), from_last=decoder.distillation == "self")
        split, seed = split_options(self.options), self.options.run.seed
        return LayeredLoss(encoder, objective, split, decoder.compress_ratios, seed)

    def rows(self, checkpoint: Checkpoint) -> PromptTokens:
        """What makes a row of a pair."""
        query_length, max_length = pair_lengths(checkpoint, self.options)
        return _prompt_rows(checkpoint.folder, self._prompt(checkpoint), query_length, max_length)

    def save(self, encoder: TrainableEncoder, folder: Path) -> None:
        """Write the trained model below the folder of the run."""
        save_decoder(encoder, folder, self._prompt(encoder.checkpoint))

    def _prompt(self, checkpoint: Checkpoint) -> str:
        own = self.options.decoder.prompt or checkpoint.config.get("reranker_prompt")
        return str(own or published_prompt(str(checkpoint.config["model_type"])))


@cache
def _prompt_rows(folder: Path, prompt: str, query_length: int, max_length: int) -> PromptTokens:
    """``max_length`` is of both texts; the rest of a row comes on top."""
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
    begin = begin_token(folder, tokenizer)
    fixed = PromptTokens(tokenizer, prompt, 1 << 20, query_length, begin).fixed
    return PromptTokens(tokenizer, prompt, max_length + fixed, query_length, begin)
