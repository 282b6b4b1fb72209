"""What a request can fail by: a status, a word for programs, and a message for people.

Failure
├── BadRequest      400   ├── TooLarge    413   ├── Broken      500
├── NoKey           401   ├── Unusable    422   └── Unavailable 503
├── Forbidden       403   ├── Overloaded  429
├── NotFound        404   ├── TooSlow     408
└── Conflict        409
"""

from __future__ import annotations

from trivec.errors import (
    FilterError,
    InputError,
    LibraryBusyError,
    LibraryError,
    MissingHeadError,
    TrivecError,
    UnknownModelError,
)


class Failure(Exception):
    """Ends a request.

    Attributes:
        status: of the response.
        code: names the kind of failure, for programs.
        message: what was wrong, the value seen, and what to do next.
        param: the field of the request that is meant, or None.
        retry_after_s: when it is worth asking again, or None.
    """

    status = 500
    code = "internal_error"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.retry_after_s = retry_after_s


class BadRequest(Failure):
    """The request cannot be read, or asks for what cannot be."""

    status, code = 400, "invalid_request"


class NoKey(Failure):
    """There is no key, or a wrong one."""

    status, code = 401, "invalid_api_key"


class Forbidden(Failure):
    """The server does not do that."""

    status, code = 403, "forbidden"


class NotFound(Failure):
    """There is no such route, model, library or document."""

    status, code = 404, "not_found"


class NotAllowed(Failure):
    """The route has another method."""

    status, code = 405, "method_not_allowed"


class TooSlow(Failure):
    """The body came too slowly."""

    status, code = 408, "request_timeout"


class Conflict(Failure):
    """Another process writes to the library."""

    status, code = 409, "library_busy"


class TooLarge(Failure):
    """The request is above a limit."""

    status, code = 413, "too_large"


class Unusable(Failure):
    """The model or library cannot do what was asked."""

    status, code = 422, "unsupported"


class Overloaded(Failure):
    """Too much is waiting already."""

    status, code = 429, "overloaded"


class Unavailable(Failure):
    """The server ends, or could not do it in time."""

    status, code = 503, "unavailable"


class Broken(Failure):
    """A fault of ours. Says nothing of what happened."""

    def __init__(self) -> None:
        super().__init__("the server failed to answer: see its log for this request's id")


def as_failure(error: Exception) -> Failure:
    """The failure that an exception comes to."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, FilterError):
        return BadRequest(str(error), code="invalid_filter", param="where")
    if isinstance(error, InputError):
        return BadRequest(str(error))
    if isinstance(error, LibraryBusyError):
        return Conflict(str(error))
    if isinstance(error, MissingHeadError):
        return Unusable(str(error), code="missing_head")
    if isinstance(error, UnknownModelError):
        return NotFound(str(error), code="model_not_found", param="model")
    if isinstance(error, LibraryError):
        return Unavailable(str(error), code="library_error")
    if isinstance(error, TrivecError):
        return Unusable(str(error))
    return Broken()
