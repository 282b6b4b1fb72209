"""Files to documents. One format a file; `formats` lists them, `read_documents` chooses.

To add a format, write a function ``(file, reading) -> Iterator[Found]`` and register its suffixes in `formats`.
"""

from trivec.search.readers.documents import read_documents
from trivec.search.readers.formats import SUFFIXES
from trivec.search.readers.options import ReadOptions
from trivec.search.readers.report import ReadReport

__all__ = ["SUFFIXES", "ReadOptions", "ReadReport", "read_documents"]
