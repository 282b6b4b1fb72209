"""Weights of signals as they are typed: ``dense=1,bm25=0.2``."""

from __future__ import annotations

from trivec.errors import InputError
from trivec.types import SIGNALS, Signal


def read_weights(text: str, where: str = "weights") -> dict[Signal, float]:
    """The weight of each signal that is named.

    Args:
        text: as it was typed.
        where: what it was typed for, in messages.

    Raises:
        InputError: a part is no ``SIGNAL=NUMBER``, or names a signal twice.
    """
    weights: dict[Signal, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name not in SIGNALS:
            raise InputError(
                f"{part.strip()!r} in {where} {text!r} is no weight of a signal: write it as dense=1,bm25=0.2 with "
                f"some of {', '.join(SIGNALS)}"
            )
        if name in weights:
            raise InputError(f"{where} {text!r} names {name} twice: name it once")
        try:
            weights[name] = float(number)
        except ValueError:
            raise InputError(f"the weight of {name} in {where} is {number!r}: give a number such as 0.5") from None
    return weights
