"""Text to `Embeddings`: layouts of model folders, the tokenizer, the runtimes, and the catalogue of known models."""

from trivec.encode.encoder import EncodeOptions, Encoder
from trivec.encode.late_chunking import ChunkedText, encode_chunks
from trivec.encode.loading import fetch, load

__all__ = ["ChunkedText", "EncodeOptions", "Encoder", "encode_chunks", "fetch", "load"]
