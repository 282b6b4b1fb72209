"""Asking a server of ``trivec serve``: `Client`, and `AsyncClient` for asyncio. Needs the extra ``client``."""

from trivec.client.answers import Found, Ingested, Reranked, ServerError
from trivec.client.asynchronous import AsyncClient
from trivec.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Found", "Ingested", "Reranked", "ServerError"]
