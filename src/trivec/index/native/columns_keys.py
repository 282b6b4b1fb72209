"""Values of metadata as bytes whose order is the order of the values.

A key is one byte for the kind, then the value, so that keys sorted as bytes are sorted by kind and by value:

    0 null     1 true or false     2 number     3 text, in UTF-8     4 point in time

A text that names a point in time, as `trivec.index.conditions.read_time` understands it, has two keys: one as
text, one as a time. An order of values is then a contiguous range of keys.

A number is the nearest float in eight bytes that sort as floats do, then what is missing to the exact whole number
in two bytes: 1 and 1.0 share a key, 2**53 and 2**53 + 1 do not.
"""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta

from trivec.index.conditions import Operator, read_time
from trivec.types import Scalar

NULL, FLAG, NUMBER, TEXT, TIME = b"\0", b"\1", b"\2", b"\3", b"\4"
_AFTER = {NUMBER: TEXT, TIME: b"\5"}

_SIGN = 1 << 63
_HALF = 1 << 15
_FIRST = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode_text(text: str) -> bytes:
    """A text in UTF-8. Half a surrogate pair, which only a filter can hold, stays one and equals nothing."""
    return text.encode("utf-8", "surrogatepass")


def value_keys(value: Scalar) -> tuple[bytes, ...]:
    """The keys under which a value is found, one or two."""
    key = value_key(value)
    time = read_time(value)
    return (key,) if time is None else (key, _time_key(time))


def value_key(value: Scalar) -> bytes:
    """The key that a value shares with the values that equal it, and with no other."""
    if isinstance(value, str):
        return TEXT + encode_text(value)
    if value is None:
        return NULL
    if isinstance(value, bool):
        return FLAG + bytes([value])
    return _number_key(value)


def key_range(operator: Operator, value: Scalar) -> tuple[bytes, bytes]:
    """First key and end of the keys that stand in this order to a number or a time.

    The end is the first key that does not belong. No key lies between one and the same with a zero byte added.
    """
    time = read_time(value)
    key = value_key(value) if time is None else _time_key(time)
    kind = key[:1]
    if operator in ("<", "<="):
        return kind, key if operator == "<" else key + b"\0"
    return key if operator == ">=" else key + b"\0", _AFTER[kind]


def _number_key(value: float) -> bytes:
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))  # the sum makes -0.0 to 0.0
    ordered = bits ^ _SIGN if bits < _SIGN else bits ^ (2 * _SIGN - 1)
    rest = 0 if math.isinf(nearest) or isinstance(value, float) else value - int(nearest)
    return NUMBER + struct.pack(">QH", ordered, min(max(rest, -_HALF), _HALF - 1) + _HALF)


def _time_key(time: datetime) -> bytes:
    return TIME + struct.pack(">Q", (time - _FIRST) // _MICROSECOND)
