"""``--rerank`` without a value: the default reranker."""

from __future__ import annotations

from collections.abc import Sequence

_OPTION = "--rerank"


def name_reranker(words: Sequence[str]) -> list[str]:
    """The words of a command, the default reranker's name behind a ``--rerank`` that is last or before an option."""
    named: list[str] = []
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        named.append(word)
        if word == _OPTION and following.startswith("-"):
            from trivec.encode.catalogue import DEFAULT_RERANKER

            named.append(DEFAULT_RERANKER)
    return named
