"""Binding, running and ending a server."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType

import uvicorn

from trivec.encode import catalogue
from trivec.encode.checkpoints.checkpoint import Precision
from trivec.errors import InputError
from trivec.serve.app import make_app
from trivec.serve.connections import GuardedConnection
from trivec.serve.keys import VARIABLE, ApiKeys
from trivec.serve.libraries import Libraries, open_library
from trivec.serve.logs import note, start_logging
from trivec.serve.metrics import Metrics
from trivec.serve.models import Models
from trivec.serve.options import ServeOptions
from trivec.serve.service import Service

_BACKLOG = 2048
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def serve(
    libraries: Sequence[str],
    models: Sequence[str],
    rerankers: Sequence[str],
    options: ServeOptions,
    precision: Precision | None = None,
) -> None:
    """Serve until a signal says to end, then finish what is under way.

    Args:
        libraries: folders, or ``NAME=FOLDER``.
        models: encoders by name or folder. Without models and libraries, the default model.
        rerankers: by name or folder.
        options: of the server.
        precision: of models and rerankers.

    Raises:
        InputError: the address is taken, or public without keys.
        ModelError: a model cannot be used.
        LibraryError: a library cannot be used.
    """
    keys = ApiKeys.read(options.keys)
    options = guarded(options, keys)
    listener = bind(options.host, options.port)
    with listener:
        service = open_service(libraries, models, rerankers, options, precision)
        start_logging(options.log_texts)
        _run(service, keys, listener)


def open_service(
    libraries: Sequence[str],
    models: Sequence[str],
    rerankers: Sequence[str],
    options: ServeOptions,
    precision: Precision | None = None,
) -> Service:
    """Load everything."""
    known, metrics, shelf = Models(), Metrics(), Libraries()
    chosen = list(models) or ([] if libraries or rerankers else [catalogue.DEFAULT_MODEL])
    for model in chosen:
        known.load_encoder({"model": model} | ({"precision": precision} if precision else {}))
    for reranker in rerankers:
        known.load_reranker(reranker, precision)
    for word in libraries:
        shelf.add(open_library(word, known, metrics, options.read_only))
    return Service(known, shelf, metrics, options)


def guarded(options: ServeOptions, keys: ApiKeys) -> ServeOptions:
    """Options that are safe: no public address without keys, and without keys no foreign names for a local one.

    Raises:
        InputError: the address is public, and there are no keys.
    """
    local = is_loopback(options.host)
    if not local and not keys and not options.public:
        raise InputError(
            f"{options.host} can be reached from other machines, and there are no keys: give a file of them (--keys), "
            f"or set {VARIABLE}; --public serves everybody"
        )
    if local and not keys and not options.allowed_hosts:
        return replace(options, allowed_hosts=_LOCAL_NAMES)
    return options


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InputError: it cannot.
    """
    if not 0 <= port < 1 << 16:
        raise InputError(f"port must lie between 0 and 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as opened:
            listener = opened.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)  # from here on clients wait, and are not refused
            opened.pop_all()
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}): give another --host or --port") from error
    return listener


def _run(service: Service, keys: ApiKeys, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(
        make_app(service, keys),
        http=GuardedConnection,
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=service.options.drain_s,
    )
    # The web server sends a signal again once it has ended well.
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        note(
            "listening",
            url=url,
            page=f"{url}/" if service.options.page else None,
            models=list(service.models.encoders),
            rerankers=list(service.models.rerankers),
            libraries=[library.name for library in service.libraries],
            keys=bool(keys),
        )
        uvicorn.Server(config).run(sockets=[listener])
        note("ended")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    """What is to be done is done."""
