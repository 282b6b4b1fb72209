"""Systems: the ways of ranking that are measured beside each other, each a signal or a mix of signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivec.errors import InputError
from trivec.scoring import M3_WEIGHTS
from trivec.search.fusion import Fusion, WeightedSum
from trivec.search.fusion.typed_weights import read_weights
from trivec.search.options import SearchOptions
from trivec.types import SIGNALS, Signal

HYBRID = "hybrid"
"""The system that mixes as the model brings it."""


@dataclass(frozen=True)
class System:
    """A way of ranking.

    Attributes:
        name: in tables and run files.
        rule: how the signals are mixed; a single signal is a mix of one.
    """

    name: str
    rule: Fusion

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What it needs."""
        return tuple(self.weights)

    @property
    def weights(self) -> dict[Signal, float]:
        """Of the signals that count, in their usual order."""
        return {signal: self.rule.weights[signal] for signal in SIGNALS if self.rule.weights.get(signal)}


def default_systems(available: Sequence[Signal], options: SearchOptions) -> list[System]:
    """Each signal alone, the mixes of M3-Embedding, and the model's own mix.

    Args:
        available: signals that the model has.
        options: how the model is searched if nobody says otherwise.
    """
    systems = [_alone(signal) for signal in SIGNALS]
    systems += [_m3("dense", "sparse"), _m3("dense", "sparse", "multi")]
    systems.append(System(HYBRID, options.rule()))
    # a mix that lacks a signal would be measured under a wrong name; the model's own is made for what it has
    wanted = [system for system in systems if system.name == HYBRID or set(system.signals) <= set(available)]
    return [system for system in wanted if set(system.signals) & set(available)]


def find_systems(names: Sequence[str], available: Sequence[Signal], options: SearchOptions) -> list[System]:
    """Systems by name, or by weights such as ``dense=1,bm25=0.2``; without names, the default ones.

    Args:
        names: as a user gives them.
        available: signals that the model has.
        options: how the model is searched if nobody says otherwise.

    Raises:
        InputError: there is no such system, the model lacks a signal for it, or one is named twice.
    """
    known = {system.name: system for system in default_systems(SIGNALS, options)}
    if not names:
        return default_systems(available, options)
    found = []
    for name in names:
        if name not in known and "=" not in name:
            raise InputError(
                f"there is no system {name!r}: choose of {', '.join(known)}, or give weights such as dense=1,bm25=0.2"
            )
        system = known[name] if name in known else System(name.replace(" ", ""), WeightedSum(read_weights(name)))
        missing = [signal for signal in system.signals if signal not in available]
        if missing and name != HYBRID:
            raise InputError(
                f"the system {name!r} needs {', '.join(missing)}, and the model gives {', '.join(available)}: leave it "
                "out, or take another model"
            )
        found.append(system)
    if len({system.name for system in found}) < len(found):
        raise InputError(f"a system is named twice in {', '.join(names)}: name each once")
    return found


def _alone(signal: Signal) -> System:
    return System(signal, WeightedSum({signal: 1.0}))


def _m3(*signals: Signal) -> System:
    return System("+".join(signals), WeightedSum({signal: M3_WEIGHTS[signal] for signal in signals}))
