"""Losses of steps on their way to ``metrics.jsonl``: kept as tensors, so that no step waits for the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trivec.train.runs import RunFolder


@dataclass
class StepRecords:
    """The losses of the steps since the last `flush`.

    Attributes:
        run: where they go; None on ranks that write nothing.
    """

    run: RunFolder | None
    _batches: list[dict[str, Tensor]] = field(default_factory=list)
    _steps: list[tuple[int, float, dict[str, Tensor]]] = field(default_factory=list)

    def add(self, total: Tensor, parts: Mapping[str, Tensor]) -> None:
        """A batch of the present step."""
        self._batches.append({"total": total.detach(), **parts})

    def close(self, step: int, learning_rate: float) -> None:
        """The step is done: its loss is the mean over its batches."""
        names = dict.fromkeys(name for batch in self._batches for name in batch)
        losses = {name: torch.stack([batch[name] for batch in self._batches if name in batch]).mean() for name in names}
        self._steps.append((step, learning_rate, losses))
        self._batches = []

    def flush(self) -> None:
        """Write what was kept, as means over the ranks. All ranks must call it at the same step."""
        if not self._steps:
            return
        values = torch.stack([value for _, _, losses in self._steps for value in losses.values()]).float()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(values)
            values /= torch.distributed.get_world_size()
        left = iter(values.tolist())
        records: list[dict[str, Any]] = [
            {"kind": "step", "step": step, "learning_rate": rate, "loss": {name: next(left) for name in losses}}
            for step, rate, losses in self._steps
        ]
        self._steps = []
        if self.run is not None:
            self.run.append(records)
