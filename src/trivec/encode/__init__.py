"""Text to `Embeddings`: layouts of model folders, the tokenizer, the runtimes, and the catalogue of known models."""

from trivec.encode.encoder import EncodeOptions, Encoder
from trivec.encode.loading import fetch, load

__all__ = ["EncodeOptions", "Encoder", "fetch", "load"]
