"""What is mined: the examples, the corpus that candidates come from, and a digest of all their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trivec.data.bad_lines import BadLines
from trivec.data.examples import Example
from trivec.data.mining.catalogue import TextCatalogue, with_ids
from trivec.data.reading import read_examples
from trivec.errors import InputError
from trivec.search.readers import ReadOptions, read_documents
from trivec.types import join_title


@dataclass(frozen=True)
class Inputs:
    """Files of examples, and files, folders or BEIR folders of candidates.

    Without a corpus, the candidates are all positives and negatives of the examples. With one, its texts alone are:
    positives are not added to it. A document's title stands before its text.
    """

    examples: Sequence[Path]
    corpus: Sequence[Path] = ()
    format: str = "auto"
    """Of the examples, as `read_examples` has it."""
    skip_bad: bool = False
    bad: BadLines = field(init=False, compare=False)
    """What of the examples could not be read, after mining."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bad", BadLines(skip=self.skip_bad))

    def read(self) -> Iterator[Example]:
        """The examples, from the first to the last."""
        return read_examples(self.examples, self.format, BadLines(skip=self.skip_bad))

    def fill(self, catalogue: TextCatalogue) -> None:
        """Read everything into a new catalogue.

        Raises:
            InputError: something cannot be read, or there are no examples or no candidates.
        """
        examples = read_examples(self.examples, self.format, self.bad)
        if self.corpus:
            catalogue.add_candidates(self._documents())
            catalogue.add_answers(examples)
        else:
            catalogue.add_candidates(_texts_of(examples))
            catalogue.add_answers(self.read())
        if not catalogue.examples:
            raise InputError(f"{', '.join(map(str, self.examples))}: no examples to mine for: name other files")
        if not catalogue.candidates:
            raise InputError(f"{', '.join(map(str, self.corpus))}: no texts to choose negatives from: name other files")
        catalogue.finish()

    def _documents(self) -> Iterator[tuple[str, str]]:
        options = ReadOptions(skip_bad=self.skip_bad)
        for source in self.corpus:
            for document in read_documents(source, options):
                yield join_title(document.title, document.text), document.id

    def digest(self) -> str:
        """Thirty-two hexadecimal digits over the bytes of all files, and how they are read."""
        total = hashlib.sha256(f"{self.format} {self.skip_bad}".encode())
        for role, paths in (("examples", self.examples), ("corpus", self.corpus)):
            for path in paths:
                total.update(f"\n{role}".encode())
                for file in _files(path):
                    total.update(f"\n{file.relative_to(path) if file != path else ''} ".encode("utf-8", "replace"))
                    total.update(_file_digest(file))
        return total.hexdigest()[:32]


def _texts_of(examples: Iterator[Example]) -> Iterator[tuple[str, str]]:
    for example in examples:
        yield from with_ids(example.positives, example.positive_ids)
        yield from with_ids(example.negatives, example.negative_ids)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"there is no {path}: check the path")
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
