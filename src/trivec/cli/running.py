"""Reads the words of a command with cyclopts and calls the verb."""

from __future__ import annotations

import logging

from cyclopts import App, CycloptsError, Parameter

from trivec.cli import VERBS
from trivec.cli.unnamed import name_reranker
from trivec.errors import InputError


def run(words: list[str]) -> int:
    """Run a verb.

    Returns:
        Its exit code.

    Raises:
        InputError: the words are no command.
    """
    level = logging.ERROR if "--quiet" in words else logging.WARNING
    logging.basicConfig(format="trivec: %(message)s", level=level)
    try:
        code = make_app()(name_reranker(words))
    except CycloptsError as error:
        verb = f" {words[0]}" if words[0] in {verb.name for verb in VERBS} else ""
        raise InputError(f"{str(error).rstrip('.')}: see trivec{verb} --help") from error
    return code if isinstance(code, int) else 0


def make_app() -> App:
    """The app with all verbs, none of them imported yet."""
    app = App(
        name="trivec",
        version_flags=(),
        help_format="plaintext",
        default_parameter=Parameter(negative="", show_default=_shown_default),
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for verb in VERBS:
        app.command(verb.place, name=verb.name, help=None)
    return app


def _shown_default(value: object) -> object:
    """What the help says about a default: nothing where the default is that nothing was said."""
    return None if value is None or value is False or value == () else value
