"""A plain server as people write one: sentence-transformers behind FastAPI, in the dialect of OpenAI.

    python benchmarks/serving_peer.py MODEL_FOLDER PORT

The model runs in FastAPI's threads, so requests are taken at once and encoded one by one.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Body(BaseModel):
    """What is embedded."""

    input: list[str]


def main() -> None:
    """Serve."""
    model = SentenceTransformer(sys.argv[1], device="cpu")
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(body: Body) -> dict[str, Any]:
        vectors = model.encode(body.input, normalize_embeddings=True, show_progress_bar=False)
        return {"data": [{"index": place, "embedding": row.tolist()} for place, row in enumerate(vectors)]}

    uvicorn.run(app, port=int(sys.argv[2]), log_level="error")


if __name__ == "__main__":
    main()
