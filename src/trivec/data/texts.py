"""When two texts are one: normal form, and a key made of it."""

from __future__ import annotations

import hashlib
import unicodedata


def normalised(text: str) -> str:
    """A text without differences of case, of blanks, and of compatible letters (NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_key(text: str) -> bytes:
    """Sixteen bytes that are equal for texts of one normal form, and for no others."""
    return hashlib.blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
