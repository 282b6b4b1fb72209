"""A progress bar on standard error, or nothing with the same face. It shows on terminals only."""

from __future__ import annotations

from typing import Any


class Progress:
    """Counts items. Use it in a ``with`` block."""

    def __init__(self, what: str, unit: str, show: bool, total: int | None = None) -> None:
        self._bar: Any = None
        if show:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=f" {unit}", desc=what, smoothing=0.1, disable=None)

    def update(self, count: int) -> None:
        """So many more are done."""
        if self._bar is not None:
            self._bar.update(count)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
