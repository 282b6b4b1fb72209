"""``trivec serve``: models and libraries over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from trivec.cli.flags import Precision, Several

if TYPE_CHECKING:
    from trivec.serve.options import Limits

_ACCESS = Group("Access", sort_key=1)
_LIMITS = Group("Limits", sort_key=2)


@Parameter(name="*", group=_ACCESS)
@dataclass(frozen=True)
class AccessFlags:
    """Who may ask, and for what."""

    keys: Path | None = None
    """A file of hashed keys, one of which every request must bring. Keys may
    also stand in TRIVEC_API_KEYS."""

    public: bool = False
    """Listen where other machines can reach the server, without keys."""

    allowed_host: tuple[str, ...] = ()
    """A name under which the server may be asked; give it again for more.
    Without it: any, but on loopback without keys only localhost."""

    cors: tuple[str, ...] = ()
    """An origin whose pages may call the server, such as
    https://example.org; give it again for more."""

    read_only: bool = False
    """Refuse what changes libraries."""

    no_page: bool = False
    """Leave out the page for people at the server's address."""


@Parameter(name="*", group=_LIMITS)
@dataclass(frozen=True)
class LimitFlags:
    """The most that one request may ask for."""

    max_texts: int | None = None
    """Texts or documents. Without it: 2048."""

    max_tokens: int | None = None
    """Tokens of all its texts. Without it: 524288."""

    max_body: int | None = None
    """Bytes of its body. Without it: 16777216."""

    timeout: float | None = None
    """Seconds until it is given up. Without it: 120."""

    drain: int = 30
    """Seconds for what is under way when the server is told to end."""

    def limits(self) -> Limits:
        """For the server.

        Raises:
            InputError: one is not above 0.
        """
        from trivec.serve.options import Limits

        given = {
            "texts": self.max_texts,
            "tokens": self.max_tokens,
            "body_bytes": self.max_body,
            "request_timeout_s": self.timeout,
        }
        return replace(Limits(), **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


DEFAULT_ACCESS = AccessFlags()
DEFAULT_LIMITS = LimitFlags()


def serve(
    libraries: Annotated[list[str] | None, Parameter(negative="")] = None,
    /,
    *,
    model: Several = (),
    reranker: Several = (),
    precision: Precision | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    new_key: str | None = None,
    log_texts: bool = False,
    access: AccessFlags = DEFAULT_ACCESS,
    limits: LimitFlags = DEFAULT_LIMITS,
) -> int:
    """Serve models and libraries over HTTP.

    For example:
      trivec serve library
      trivec serve library german=other/folder --reranker BAAI/bge-reranker-v2-m3
      trivec serve --model m3-small --port 9000
      trivec serve --new-key laptop >> keys
      trivec serve library --host 0.0.0.0 --keys keys

    Speaks the dialects of OpenAI, Cohere, Jina and text-embeddings-inference,
    and its own. /openapi.json describes all routes, and the address itself, as
    http://localhost:8000, shows a page to search with. The server listens on this
    machine alone unless told otherwise. SIGTERM or Ctrl-C ends it, when what
    is under way is done.

    Args:
        libraries: Folders, or NAME=FOLDER.
        model: Encoders, by name or folder; the first is meant where a request
            names none. Without models and libraries: m3-small.
        reranker: Rerankers, by name or folder.
        precision: float32, or int8 for models on a CPU.
        host: Address to listen on.
        port: Port to listen on; 0 takes any that is free.
        new_key: Make a new key of this name: the line for the file goes to
            standard output, the key itself to standard error, and nothing is
            served.
        log_texts: Write messages that may quote texts of users to the log.
    """
    from trivec.errors import require

    for package in ("fastapi", "uvicorn", "prometheus_client"):
        require(package, "serve", "trivec serve")
    if new_key is not None:
        return _print_key(new_key)
    from trivec.serve.lifetime import serve as run
    from trivec.serve.options import ServeOptions

    options = ServeOptions(
        host=host,
        port=port,
        limits=limits.limits(),
        keys=access.keys,
        public=access.public,
        allowed_hosts=access.allowed_host,
        origins=access.cors,
        read_only=access.read_only,
        page=not access.no_page,
        log_texts=log_texts,
        drain_s=limits.drain,
    )
    run(libraries or [], model, reranker, options, precision)
    return 0


def _print_key(name: str) -> int:
    from trivec.cli.failures import say
    from trivec.serve.keys import new_key

    key, line = new_key(name)
    print(line)
    say(f"the key of {name} is {key} - it is shown this once")
    return 0
