"""``trivec doctor``: is everything here that trivec needs?"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from trivec.cli.checks import Check
    from trivec.cli.packages import Package


def doctor(*, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Check this installation.

    For example:
      trivec doctor
      trivec doctor --json

    Tells about this machine, the packages of the core and of each extra and
    how to get those that are missing, and the models in the cache; tries
    the store in a temporary folder, and the runtime. Ends with exit code 2
    if something essential is missing. Nothing is sent or downloaded.
    """
    from trivec.cli.checks import run_checks
    from trivec.cli.output import emit
    from trivec.cli.packages import wanted_packages

    packages, checks, models = wanted_packages(), run_checks(), _models()
    fine = all(p.fine for p in packages if not p.extra) and all(check.fine for check in checks)
    result = {
        "fine": fine,
        "machine": _machine(),
        "packages": [{**_fields(p), "fine": p.fine} for p in packages],
        "checks": [_fields(check) for check in checks],
        "models": models,
    }
    emit(output, result, lambda: _show(result, packages, checks))
    return 0 if fine else 2


def _fields(value: Package | Check) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def _machine() -> dict[str, Any]:
    from trivec import __version__
    from trivec.cache import cache_folder

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "trivec": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": cores,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cache": str(cache_folder()),
    }


def _models() -> dict[str, Any]:
    """The models in our cache with their sizes, and whether the default one is among them."""
    from trivec.cache import cache_folder, model_folder

    folders = sorted(path for path in (cache_folder() / "models").glob("*") if path.is_dir())
    return {
        "default": "m3-small",
        "default_is_here": model_folder("m3-small").is_dir(),
        "cached": [{"name": path.name.replace("--", "/"), "bytes": _size(path)} for path in folders],
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _show(result: dict[str, Any], packages: list[Package], checks: list[Check]) -> None:
    from trivec.cli.output import human_bytes, print_facts, print_line, print_table
    from trivec.cli.packages import remedy

    machine, models = result["machine"], result["models"]
    facts = {**machine, "memory": human_bytes(machine["memory_bytes"])}
    del facts["memory_bytes"]
    print_facts((name, str(value)) for name, value in facts.items())
    print_line()
    rows = [[p.extra or "core", p.name, p.wanted, p.installed or "missing", "" if p.fine else "!"] for p in packages]
    print_table(["for", "package", "wanted", "installed", ""], rows)
    for missing in ([p for p in packages if not p.fine and bool(p.extra) is extra] for extra in (False, True)):
        if missing:
            print_line([("to get what is missing: ", "dim"), (remedy(missing), "bold")])
    print_line()
    for check in checks:
        print_line([(f"{check.name}: ", "dim"), ("" if check.fine else "FAILED: ", "bold red"), (check.detail, "")])
    for model in models["cached"]:
        print_line([("model: ", "dim"), (f"{model['name']} ({human_bytes(model['bytes'])})", "")])
    if not models["default_is_here"]:
        print_line([("model: ", "dim"), (f"{models['default']} is not here: trivec models fetch m3-small", "")])
    print_line([("all fine" if result["fine"] else "something essential is missing", "bold")])
