"""Which packages trivec wants, and which of them are here, from the metadata of the installation."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass

DISTRIBUTION = "trivec"
_NOT_FOR_USERS = ("all", "bench", "dev")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*([^;]*?)\s*(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"].*)?")


@dataclass(frozen=True)
class Package:
    """A package that is wanted, by the core (``extra`` is empty) or by an extra."""

    name: str
    wanted: str
    extra: str
    installed: str | None

    @property
    def fine(self) -> bool:
        """Whether it is here in a version that fits."""
        return self.installed is not None and fits(self.installed, self.wanted)


def wanted_packages() -> list[Package]:
    """The packages of the core, then those of each extra."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = [match.groups(default="") for line in lines if (match := _REQUIREMENT.fullmatch(line))]
    packages = [
        Package(name, wanted.replace(" ", ""), extra, installed_version(name))
        for name, wanted, extra in found
        if extra not in _NOT_FOR_USERS and name != DISTRIBUTION
    ]
    return sorted(packages, key=lambda package: package.extra)


def installed_version(name: str) -> str | None:
    """The version that is installed, if one is."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(version: str, wanted: str) -> bool:
    """Whether a version lies within bounds such as ``>=0.9,<0.10``."""
    for bound in filter(None, wanted.split(",")):
        match = re.fullmatch(r"(>=|<=|==|<|>)(.+)", bound.strip())
        if match is None:
            continue
        here, there = _numbers(version), _numbers(match[2])
        met = {">=": here >= there, "<=": here <= there, "==": here == there, "<": here < there, ">": here > there}
        if not met[match[1]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in release[0].split(".")] if release else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def remedy(packages: list[Package]) -> str:
    """The pip command that brings what is missing or too old."""
    extras = sorted({package.extra for package in packages if package.extra})
    if any(not package.extra for package in packages):
        return "pip install --upgrade " + " ".join(f"'{p.name}{p.wanted}'" for p in packages if not p.extra)
    return f"pip install 'trivec[{','.join(extras)}]'"
