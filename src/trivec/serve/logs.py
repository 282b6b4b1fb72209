"""The log: one JSON object a line, on standard error. It holds no texts of users, and no keys."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

LOGGER = logging.getLogger("trivec.serve")
_OTHERS = ("uvicorn", "uvicorn.error", "trivec")


class JsonLines(logging.Formatter):
    """A record as a line. Fields come from ``extra={"fields": {...}}``.

    Args:
        texts: write the messages of exceptions, which may quote texts of users.
    """

    def __init__(self, texts: bool = False) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= self._exception(record.exc_info[1])
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    def _exception(self, error: BaseException) -> dict[str, Any]:
        frames = traceback.extract_tb(error.__traceback__)
        found: dict[str, Any] = {
            "error": type(error).__name__,
            "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        return found | {"message": str(error)} if self._texts else found


def start_logging(texts: bool = False) -> None:
    """Send our lines, and those of the web server, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(texts))
    for name in (LOGGER.name, *_OTHERS):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == LOGGER.name else logging.WARNING)


def note(event: str, **fields: object) -> None:
    """A line."""
    LOGGER.info(event, extra={"fields": fields})
