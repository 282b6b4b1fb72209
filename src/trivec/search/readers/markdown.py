"""``.md``: the markdown is kept as it is; the title is the first heading.

A front matter, YAML between two ``---`` lines at the very top, becomes title and metadata and leaves the text. One
that cannot be read stays in the text, with a note in the report: a colon in a title must not lose a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from trivec.search.readers.decoding import read_text
from trivec.search.readers.metadata import keep_metadata
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def read_markdown(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """One document."""
    front, text = _split_front_matter(read_text(file, reading.options.encoding), file, reading)
    reading.unseen_fields -= front.keys()
    title_field = reading.options.title_field or "title"
    title = front.pop(title_field, None)
    document = Document(
        id=file.name,
        text=text,
        title=title.strip() if isinstance(title, str) else first_heading(text),
        metadata={**keep_metadata(front, reading), **file.facts("md")},
    )
    yield Found(document, file)


def first_heading(text: str) -> str:
    """The words of the first heading outside of code, without their markup; empty if there is none."""
    fence = previous = ""
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if opened:
            fence = "" if fence == opened[1] else fence or opened[1]
        elif not fence:
            heading = _HEADING.match(line)
            if heading and heading[1]:
                return _words(heading[1])
            if previous and _UNDERLINE.match(line):
                return _words(previous)
        previous = line.strip()
    return ""


def _words(heading: str) -> str:
    return _LINK.sub(r"\1", heading).replace("*", "").replace("`", "").strip()


def _split_front_matter(text: str, file: SourceFile, reading: Reading) -> tuple[dict[str, object], str]:
    """The front matter's fields and the rest of the text."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    try:
        fields = yaml.safe_load(match[1] or "")
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-45
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        reading.report.note(f"{file.path}: front matter is no YAML ({reason}) and was left in the text: mend it")
        return {}, text
    if fields is None:
        return {}, text[match.end() :]
    if not isinstance(fields, dict):  # two thematic breaks with prose between them
        return {}, text
    return {str(name): value for name, value in fields.items()}, text[match.end() :]
