"""TREC's topics in their three forms. The title is the query; a topic without one is asked by its description.

    301 <tab> International Organized Crime
    <top> <num> Number: 301 <title> International Organized Crime <desc> Description: ... </top>
    <topics><topic number="1"><query>coronavirus origin</query><question>...</question></topic></topics>

The tags inside of ``<top>`` may be closed or not. In XML a topic's title is called ``query`` or ``title``, and a topic
without fields is its own text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from trivec.data.opening import open_content
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts.files import queries_by_id, read_topics
from trivec.evaluate.layouts.old_text import decode_old_text

_TOP = re.compile(r"<top(?:\s[^>]*)?>(.*?)(?=<top(?:\s[^>]*)?>|\Z)", re.IGNORECASE | re.DOTALL)
_LABELS = {"num": "Number", "title": "Topic", "desc": "Description"}
"""What may stand before a field's text, followed by a colon."""

_QUERY_TAGS = ("query", "title", "question", "description", "desc")

_Found = Iterator[tuple[str, str, object, str]]


def read_trec_topics(path: Path) -> dict[str, JudgedQuery]:
    """Queries by topic number.

    Raises:
        InputError: a topic has no number or no text, a number stands twice, or the file is in none of the forms.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: check the path")
    with open_content(path) as file:
        data = file.read()
    text = decode_old_text(data)
    if not text.lstrip().startswith("<"):
        return read_topics(path)
    queries = queries_by_id(_tagged(text, path) if _TOP.search(text) else _from_xml(data, path))
    if not queries:
        raise InputError(f"{path} has no topic: give <top> ... </top>, <topic> in XML, or lines of id, tab and text")
    return queries


def _tagged(text: str, path: Path) -> _Found:
    for topic in _TOP.finditer(text):
        place = f"{path}:{text.count(chr(10), 0, topic.start()) + 1}"
        number = _field(topic[1], "num")
        if not number:
            raise InputError(f"{place}: the topic has no <num>: give each its own")
        yield place, number, _field(topic[1], "title") or _field(topic[1], "desc"), ""


def _field(topic: str, tag: str) -> str:
    """The text after a tag, up to the next one."""
    found = re.search(rf"<{tag}>(.*?)(?=</?[a-z][^<>]*>|\Z)", topic, re.IGNORECASE | re.DOTALL)
    words = _one_line(html.unescape(found[1])) if found else ""
    return re.sub(rf"^{_LABELS[tag]} *: *", "", words, flags=re.IGNORECASE)


def _from_xml(data: bytes, path: Path) -> _Found:
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: neither <top> nor readable XML ({error}): mend the file") from error
    for count, topic in enumerate(root.iter("topic"), start=1):
        place = f"{path}, topic {count}"
        number = topic.get("number") or topic.get("id") or topic.findtext("number") or topic.findtext("num")
        if not number:
            raise InputError(f"{place}: it has no number: write <topic number=...>")
        texts = [_one_line(topic.findtext(tag) or "") for tag in _QUERY_TAGS]
        yield place, number.strip(), next(filter(None, [*texts, _one_line(topic.text or "")]), None), ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
