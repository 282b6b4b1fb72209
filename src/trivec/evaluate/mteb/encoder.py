"""A model as mteb's ``EncoderProtocol``: dense vectors for tasks of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.mteb.model_meta import describe
from trivec.types import FloatArray, join_title

if TYPE_CHECKING:
    from mteb.models import ModelMeta
    from mteb.types import Array


@dataclass(frozen=True)
class MtebEncoder:
    """Encodes what mteb's tasks ask for.

    Queries get the model's query prompt and passages its document prompt. A text longer than the model's window is
    cut there, as for most published results.

    Attributes:
        encoder: the model.
        symmetric_prompt: for texts that are neither queries nor passages: sentences to compare, to classify, to
            cluster, or to match with their translations. None: the query prompt if passages have a prompt too, as the
            authors of E5 do it, else none, as those of BGE do it.

    Example:
        >>> mteb.evaluate(MtebEncoder(trivec.load("m3-small")), mteb.get_tasks(["STS17"]))  # doctest: +SKIP
    """

    encoder: Encoder
    symmetric_prompt: str | None = None

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb records of the model."""
        settings = None if self.symmetric_prompt is None else {"symmetric_prompt": self.symmetric_prompt}
        return describe(self.encoder, "dense", "cosine" if self.encoder.checkpoint.normalize else "dot", settings)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        prompt_type: str | None = None,
        show_progress_bar: bool = False,
        precision: str | None = None,
        **task: object,
    ) -> FloatArray:
        """The dense vectors of all texts, (n, d), in order.

        Args:
            inputs: batches, which have texts, or titles and bodies.
            prompt_type: ``query``, ``document`` or None.
            show_progress_bar: a bar on terminals.
            precision: of vectors after the model; there is none but the model's own.
            task: the task, its split and subset, and the size of batches, which depend on nothing here.

        Raises:
            InputError: a precision is asked for.
        """
        if precision is not None:
            raise InputError(f"vectors are not rounded to {precision!r} here: leave precision out of encode_kwargs")
        texts = [text for batch in inputs for text in _texts(batch)]
        encoded = self.encoder.encode(texts, ["dense"], self.prompt(prompt_type), progress=show_progress_bar)
        assert encoded.dense is not None
        return encoded.dense

    def prompt(self, prompt_type: str | None) -> str:
        """What stands before a text of this type."""
        checkpoint = self.encoder.checkpoint
        if prompt_type == "query":
            return checkpoint.query_prompt
        if prompt_type == "document":
            return checkpoint.document_prompt
        if self.symmetric_prompt is not None:
            return self.symmetric_prompt
        return checkpoint.query_prompt if checkpoint.document_prompt else ""

    def similarity(self, embeddings1: Array, embeddings2: Array) -> Array:
        """Of all pairs, (n, m): the dot product, which is the cosine for every model that normalises."""
        from mteb.similarity_functions import dot_score

        return dot_score(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Array, embeddings2: Array) -> Array:
        """Of the first with the first, the second with the second and so on, (n,)."""
        from mteb.similarity_functions import pairwise_dot_score

        return pairwise_dot_score(embeddings1, embeddings2)


def _texts(batch: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The texts of a batch; titles are joined here, since mteb strips what it joins."""
    if "title" not in batch or "body" not in batch:
        return batch["text"]
    return [join_title(title, body) for title, body in zip(batch["title"], batch["body"], strict=True)]
