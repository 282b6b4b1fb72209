"""Systems: the ways of ranking that are measured beside each other, each a signal or a mix of signals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.scoring import M3_WEIGHTS
from trivec.search.fusion import Fusion, WeightedSum
from trivec.search.fusion.typed_weights import read_weights
from trivec.search.options import SearchOptions
from trivec.types import HEAD_OF_SIGNAL, SIGNALS, Head, Signal

HYBRID = "hybrid"
"""The system that mixes as the model brings it."""
DEFAULT = "default"
"""Stands for the systems that are measured if none is named."""
BM25_DOCUMENTS, BM25_WORDS = BASELINES = ("bm25-documents", "bm25-words")
"""BM25 over whole documents, see `trivec.evaluate.whole_documents`."""
SHORTLIST = 200
"""Passages that published figures score by multi-vectors."""


@dataclass(frozen=True)
class System:
    """A way of ranking.

    Attributes:
        name: in tables and run files.
        rule: how the signals are mixed; a single signal is a mix of one.
        among: the passages that are ranked: ``all``, scored by every signal; ``listed``, those on the lists of the
            mix's own signals, where a signal counts 0 for a passage that it does not list; ``first-dense``, the first
            `SHORTLIST` of the dense list, scored by every signal. The last two are M3-Embedding's published protocol.
    """

    name: str
    rule: Fusion
    among: Literal["all", "listed", "first-dense"] = "all"

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What it needs."""
        return tuple(self.weights)

    @property
    def weights(self) -> dict[Signal, float]:
        """Of the signals that count, in their usual order."""
        return {signal: self.rule.weights[signal] for signal in SIGNALS if self.rule.weights.get(signal)}


@dataclass(frozen=True)
class Baseline:
    """A way of ranking that is no part of a mix: one of `BASELINES`."""

    name: str


def signals_of(heads: Collection[Head]) -> tuple[Signal, ...]:
    """The signals that a model with these heads can rank by, in their usual order."""
    return tuple(signal for signal in SIGNALS if HEAD_OF_SIGNAL[signal] in heads)


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


def find_systems(
    names: Sequence[str | System], available: Sequence[Signal], options: SearchOptions
) -> tuple[list[System], list[Baseline]]:
    """Systems by name, or by weights such as ``dense=1,bm25=0.2``, and baselines; without names, the default systems.

    Args:
        names: as a user gives them, ``default`` stands for the default systems; or systems as they are.
        available: signals that the model has.
        options: how the model is searched if nobody says otherwise.

    Raises:
        InputError: there is no such system, the model lacks a signal for it, or one is named twice.
    """
    known = {system.name: system for system in default_systems(SIGNALS, options)}
    found: list[System] = []
    for asked in names or [DEFAULT]:
        if isinstance(asked, System):
            found.append(_checked(asked, available))
        elif asked == DEFAULT:
            found += default_systems(available, options)
        elif asked not in BASELINES:
            found.append(_checked(_named(asked, known), available))
    baselines = [Baseline(name) for name in names if isinstance(name, str) and name in BASELINES]
    all_names = [*(system.name for system in found), *(baseline.name for baseline in baselines)]
    if len(set(all_names)) < len(all_names):
        raise InputError(f"a system is named twice in {', '.join(all_names)}: name each once")
    return found, baselines


def find_of(names: Sequence[str | System], encoder: Encoder) -> tuple[list[System], list[Baseline]]:
    """The same for a model.

    Raises:
        InputError: there is no such system, the model lacks a signal for it, or one is named twice.
    """
    own_mix = SearchOptions.suited_to(encoder.heads, encoder.checkpoint.settings)
    return find_systems(names, signals_of(encoder.heads), own_mix)


def find_one(name: str, encoder: Encoder) -> System | Baseline:
    """The way of ranking that a name or weights stand for.

    Raises:
        InputError: there is no such system, the model lacks a signal for it, or the name stands for several.
    """
    systems, baselines = find_of([name], encoder)
    found: list[System | Baseline] = [*systems, *baselines]
    if len(found) != 1:
        raise InputError(f"one system at a time is ranked by here, and {name!r} stands for several: name one")
    return found[0]


def _named(name: str, known: Mapping[str, System]) -> System:
    if name not in known and "=" not in name:
        raise InputError(
            f"there is no system {name!r}: choose of {', '.join((*known, *BASELINES))}, or give weights such as "
            "dense=1,bm25=0.2"
        )
    return known[name] if name in known else System(name.replace(" ", ""), WeightedSum(read_weights(name)))


def _checked(system: System, available: Sequence[Signal]) -> System:
    missing = [signal for signal in system.signals if signal not in available]
    if missing and system.name != HYBRID:
        raise InputError(
            f"the system {system.name!r} needs {', '.join(missing)}, and the model gives {', '.join(available)}: "
            "leave it out, or take another model"
        )
    return system


def _alone(signal: Signal) -> System:
    return System(signal, WeightedSum({signal: 1.0}))


def _m3(*signals: Signal) -> System:
    return System("+".join(signals), WeightedSum({signal: M3_WEIGHTS[signal] for signal in signals}))
