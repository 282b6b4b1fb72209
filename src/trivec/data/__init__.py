"""What a model learns from: queries with right and wrong passages, read from files, checked, counted, kept on disk.

What makes or changes such data, as mining does, belongs here too; what computes gradients does not.
"""

from __future__ import annotations

from trivec.data.bad_lines import BadLines
from trivec.data.examples import Example, to_json
from trivec.data.prepared import DatasetPart, Prepared, prepare
from trivec.data.reading import read_examples
from trivec.data.statistics import DatasetStatistics, describe
from trivec.data.writing import write_examples

__all__ = [
    "BadLines",
    "DatasetPart",
    "DatasetStatistics",
    "Example",
    "Prepared",
    "describe",
    "prepare",
    "read_examples",
    "to_json",
    "write_examples",
]
