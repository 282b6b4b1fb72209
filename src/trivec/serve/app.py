"""`make_app`: the service behind its routes, with what every request passes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Container

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response

import trivec
from trivec.errors import TrivecError
from trivec.serve.bodies import WholeBodies
from trivec.serve.dialects import error_response
from trivec.serve.failures import BadRequest, Failure, NotAllowed, NotFound, Unusable, as_failure
from trivec.serve.keys import ApiKeys, RequireKey
from trivec.serve.openapi import describe
from trivec.serve.page_files import page_files
from trivec.serve.reading import first_field, validation_message
from trivec.serve.request_log import ID_HEADER, RequestLog
from trivec.serve.routes import cohere, documents, encode, health, ingest, libraries, openai, overview, page, tei
from trivec.serve.service import Service

_ROUTERS = (openai, cohere, tei, encode, libraries, overview, ingest, documents, health)
_TEI = ("/embed", "/embed_sparse", "/embed_all", "/rerank", "/")


def make_app(service: Service, keys: ApiKeys | None = None) -> FastAPI:
    """An ASGI app. It closes the service when it is shut down.

    Args:
        service: does the work.
        keys: one of which every request must bring; None or no keys lets everybody in.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    readable = page_files() if service.options.page else ()
    app = FastAPI(
        title="trivec",
        version=trivec.__version__,
        summary="Dense, sparse and multi-vectors, reranking and hybrid search over HTTP",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        middleware=_layers(service, keys, readable),
    )
    app.state.service = service
    for module in _ROUTERS:
        app.include_router(module.router)
    if service.options.page:
        app.include_router(page.router)
    app.add_exception_handler(Failure, _on_failure)
    app.add_exception_handler(TrivecError, _on_failure)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    describe(app, with_keys=bool(keys), readable=readable)
    return app


def _layers(service: Service, keys: ApiKeys | None, readable: Container[str]) -> list[Middleware]:
    """Outermost first."""
    options, limits = service.options, service.options.limits
    layers = [Middleware(RequestLog, metrics=service.metrics)]
    if options.origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(options.origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["authorization", "content-type", "x-api-key", ID_HEADER],
                expose_headers=[ID_HEADER, "retry-after"],
            )
        )
    if options.allowed_hosts:
        layers.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(options.allowed_hosts)))
    if keys:
        layers.append(Middleware(RequireKey, keys=keys, readable=readable))
    layers.append(Middleware(WholeBodies, most_bytes=limits.body_bytes, timeout_s=limits.body_timeout_s))
    return layers


async def _on_failure(request: Request, error: Exception) -> Response:
    failure = as_failure(error)
    return error_response(request.url.path, failure)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    message = f"the request cannot be used: {validation_message(errors)}"
    kind = Unusable if request.url.path in _TEI else BadRequest
    return error_response(request.url.path, kind(message, code="invalid_request", param=first_field(errors)))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    failure: Failure
    if error.status_code == 404:
        failure = NotFound("there is no such route: see /openapi.json")
    elif error.status_code == 405:
        failure = NotAllowed(f"{request.method} is not for this route: see /openapi.json")
    else:
        failure = BadRequest(f"the request cannot be read: {error.detail}")
        failure.status = error.status_code
    response = error_response(request.url.path, failure)
    response.headers.update(error.headers or {})
    return response
