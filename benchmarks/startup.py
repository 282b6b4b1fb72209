"""Start-up times, side by side.

    python benchmarks/startup.py --out benchmarks/results/startup.json

``trivec --help`` stands beside ``import torch``, a cold ``trivec search`` on the sample library beside
``import sentence_transformers``. The commands take turns, round after round; the best round of each counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trivec
from trivec.search.readers import read_documents

from common import environment, write_result

ARTICLES = Path(__file__).parent.parent / "examples" / "library" / "articles"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As after any installation: bytecode is compiled once."""
COMMAND = str(Path(sys.executable).with_name("trivec"))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        library = Path(scratch) / "library"
        with trivec.open(library) as made:
            made.add(read_documents(ARTICLES))
        commands = {
            "trivec --help": [COMMAND, "--help"],
            "import torch": [sys.executable, "-c", "import torch"],
            "trivec search": [COMMAND, "search", str(library), "how do plants make sugar?"],
            "import sentence_transformers": [sys.executable, "-c", "import sentence_transformers"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                seconds[name].append(_run(command))
    best = {name: min(taken) for name, taken in seconds.items()}
    ratios = {
        "trivec --help / import torch": best["trivec --help"] / best["import torch"],
        "trivec search / import sentence_transformers": best["trivec search"] / best["import sentence_transformers"],
    }
    result = {
        "environment": environment("torch", "sentence-transformers"),
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "seconds": {name: [round(value, 3) for value in taken] for name, taken in seconds.items()},
    }
    print(result["ratios"])
    write_result(arguments.out, result)


def _run(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
