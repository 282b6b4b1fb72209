"""What can be asked of rerankers that are language models, and of no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivec.errors import InputError


@dataclass(frozen=True)
class LlmOptions:
    """Prompt, depth and width.

    Attributes:
        prompt: what the model is asked about a pair; None is what it was published with.
        cutoff_layers: score the pair behind these layers, and run no more; None is behind the last one.
        compress_layers: merge tokens of the document behind these layers.
        compress_ratio: how many of them become one: 1 merges none, the published model knows 2, 4 and 8.
    """

    prompt: str | None = None
    cutoff_layers: Sequence[int] | None = None
    compress_layers: Sequence[int] = ()
    compress_ratio: int = 1

    def __post_init__(self) -> None:
        if self.compress_ratio < 1:
            raise InputError(f"compress_ratio is {self.compress_ratio}: it must be at least 1, which merges nothing")
        if self.compress_ratio > 1 and not self.compress_layers:
            raise InputError(
                f"compress_ratio is {self.compress_ratio} without compress_layers: say behind which layers, such as "
                "compress_layers=[8]"
            )
        if any(layer < 1 for layer in self.compress_layers):
            raise InputError(
                f"compress_layers is {list(self.compress_layers)}: before the first layer nothing can be merged, "
                "choose layers from 1 on"
            )

    @property
    def given(self) -> list[str]:
        """Names of those that are not as they would be unasked."""
        return [name for name, value in vars(LlmOptions()).items() if getattr(self, name) != value]
