"""Ctrl-C and polite termination, held back until a training step is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Remembers the first signal; the second one interrupts at once. Use it in a ``with`` block.

    Outside of the main thread, where Python takes no signals, it never fires.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._fired = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._fired:
            raise KeyboardInterrupt
        self._fired = True
        self._report("stopping after this step; once more stops at once, without a checkpoint")

    def fired(self, device: torch.device) -> bool:
        """Whether to stop: on all ranks if on one. All ranks must ask at the same step."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            flag = torch.tensor(int(self._fired), device=device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            self._fired = bool(flag.item())
        return self._fired
