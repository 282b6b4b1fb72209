"""Text of files that are older than UTF-8, or came from web pages that do not say what they are."""

from __future__ import annotations


def old_encoding(data: bytes) -> str:
    """The first of UTF-8, Windows-1252 and Latin-1 in which all bytes have a meaning; in the last all have."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def decode_old_text(data: bytes) -> str:
    """Bytes as text, in their `old_encoding`; nothing is ever refused."""
    return data.decode(old_encoding(data))
