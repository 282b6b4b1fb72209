"""Text to `Embeddings`: layouts of model folders, the tokenizer, the runtimes, and the catalogue of known models."""

from trivec.encode.encoder import Encoder, EncodeOptions
from trivec.encode.loading import fetch, load

__all__ = ["EncodeOptions", "Encoder", "fetch", "load"]
