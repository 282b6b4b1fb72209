"""The command line. One verb a file, imported only when it runs; `print` is allowed in this room alone.

`main` answers ``--help`` and ``--version`` from the table below, with nothing but the standard library, and hands
everything else to `running`. To add a verb, write a function in a file of its own and name it in `VERBS`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from trivec.cli.failures import guarded

__all__ = ["VERBS", "Verb", "main", "program"]


@dataclass(frozen=True)
class Verb:
    """A verb: its name, where its function or app is, and what it does in one line."""

    name: str
    place: str
    help: str


VERBS = (
    Verb("index", "trivec.cli.index:index", "Make a library from files, folders or standard input."),
    Verb("search", "trivec.cli.search:search", "Search a library; --explain says why."),
    Verb("add", "trivec.cli.add:add", "Add documents to a library."),
    Verb("delete", "trivec.cli.delete:delete", "Remove documents from a library."),
    Verb("info", "trivec.cli.info:info", "Say what is in a library."),
    Verb("compress", "trivec.cli.compress:compress", "Store a library's vectors in a smaller form."),
    Verb("verify", "trivec.cli.verify:verify", "Check every file of a library against its checksum."),
    Verb("compact", "trivec.cli.compact:compact", "Make a library small and quick without changing what it holds."),
    Verb("snapshot", "trivec.cli.snapshot:snapshot", "Write a whole library to one file."),
    Verb("restore", "trivec.cli.restore:restore", "Make a library from a snapshot."),
    Verb("encode", "trivec.cli.encode:encode", "Write the vectors of texts to files."),
    Verb("rerank", "trivec.cli.rerank:rerank", "Score documents by a model that reads them with a query."),
    Verb("mine", "trivec.cli.mine:mine", "Give training examples hard negatives."),
    Verb("train", "trivec.cli.train:app", "Train an encoder or a reranker from queries and passages."),
    Verb("eval", "trivec.cli.eval:evaluate", "Measure how well a model retrieves."),
    Verb("mteb", "trivec.cli.mteb:mteb", "Measure a model on MTEB, C-MTEB and their tasks."),
    Verb("air-bench", "trivec.cli.air_bench:air_bench", "Write rankings for the leaderboard of AIR-Bench."),
    Verb("convert", "trivec.cli.convert:convert", "Write a judged set in the layout of BEIR."),
    Verb("compare", "trivec.cli.compare:compare", "Compare what systems found, with significance."),
    Verb("tune", "trivec.cli.tune:tune", "Find how a library is searched best."),
    Verb("serve", "trivec.cli.serve:serve", "Serve models and libraries over HTTP."),
    Verb("models", "trivec.cli.models:app", "List, fetch, find and export models."),
    Verb("doctor", "trivec.cli.doctor:doctor", "Check this installation."),
)

_HELP = """\
Usage: trivec VERB ...

One encoder, three kinds of vectors: from raw text to explained hybrid search.

{verbs}

Start with:
  trivec models fetch m3-small
  trivec index docs/ --out library
  trivec search library "how do plants make sugar?"

trivec VERB --help says more about a verb; trivec --version prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None takes those of this process.

    Returns:
        The exit code: 0 fine, 1 an error of ours, 2 bad input, 130 stopped by Ctrl-C, 141 nobody reads the output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: _run(words))


def program() -> None:
    """The program ``trivec``: run the command of this process, and end it."""
    code = main()
    from trivec.cli.leaving import leave

    leave(code)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        if len(words) < 2:
            sys.stdout.write(overview())
            return 0
        words = [*words[1:], "--help"]
    if words in (["--version"], ["-V"]):
        from trivec import __version__

        sys.stdout.write(f"trivec {__version__}\n")
        return 0
    from trivec.cli.running import run

    return run(words)


def overview() -> str:
    """The help of the program as a whole."""
    width = max(len(verb.name) for verb in VERBS)
    return _HELP.format(verbs="\n".join(f"  {verb.name:{width}}  {verb.help}" for verb in VERBS))
