"""`Service`: everything that routes ask for, put together once."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from trivec.serve.batcher import Batcher
from trivec.serve.encoding import Encoding
from trivec.serve.libraries import Libraries
from trivec.serve.library_views import LibraryViews
from trivec.serve.metrics import Metrics
from trivec.serve.models import Models
from trivec.serve.options import ServeOptions
from trivec.serve.reranking import Reranking
from trivec.serve.searching import Searching


class Service:
    """Models and libraries, and what is done with them for requests.

    Attributes:
        options: of the server.
        models: encoders and rerankers.
        libraries: by name.
        metrics: what is counted.
        encoding: texts to vectors.
        reranking: pairs to logits.
        searching: queries to hits.
        views: pictures of libraries as a whole.
    """

    def __init__(self, models: Models, libraries: Libraries, metrics: Metrics, options: ServeOptions) -> None:
        self.options = options
        self.models = models
        self.libraries = libraries
        self.metrics = metrics
        self._batcher = Batcher(options.batches, metrics)
        self.encoding = Encoding(self._batcher, options.limits, metrics)
        self.reranking = Reranking(self._batcher, options.limits)
        self.searching = Searching(models, self.encoding, self.reranking, metrics)
        self.views = LibraryViews()

    async def close(self) -> None:
        """Finish what is under way, and close all libraries."""
        await self._batcher.drain()
        await asyncio.to_thread(self.libraries.close)
        self.searching.close()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
"""A route's argument: the service of its app."""
