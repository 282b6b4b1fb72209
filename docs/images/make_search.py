"""Draws search.svg: what ``trivec search --explain`` shows on a terminal, asked of the sample library.

    python examples/demo.py library && python docs/images/make_search.py library

The command runs on a terminal of its own, 100 columns wide; rich turns what it prints into a picture.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 100
QUERY = "Which wood did Stradivari use for the top of his violins?"
TARGET = Path(__file__).with_name("search.svg")
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"


def printed(*words: str) -> str:
    """What a command prints on a terminal, colours included."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("trivec")), *words]
    process = subprocess.Popen(command, stdout=theirs, env=environment)
    os.close(theirs)
    collected = bytearray()
    while data := _read(ours):
        collected += data
    if process.wait():
        raise SystemExit(f"trivec ended with exit code {process.returncode}")
    return collected.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def draw(command: str, output: str) -> str:
    """A picture of a command and its output."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(output.rstrip("\n")))
    svg = console.export_svg(title="trivec search", theme=MONOKAI, unique_id="search")
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)  # no fonts from the network
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = svg.replace("<text ", '<text xml:space="preserve" ')  # or some viewers drop the blanks at its ends
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    """Ask, and draw."""
    library = sys.argv[1] if len(sys.argv) > 1 else "library"
    output = printed("search", library, QUERY, "-k", "2", "--explain")
    TARGET.write_text(draw(f'trivec search library "{QUERY}" -k 2 --explain', output), encoding="utf-8")


if __name__ == "__main__":
    main()
