"""What `import trivec` gives, and what it costs."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import trivec

HEAVY = {"numpy", "scipy", "torch", "transformers", "onnxruntime", "onnx", "tokenizers", "safetensors", "sklearn",
         "pandas", "pyarrow", "qdrant_edge", "sentencepiece", "tqdm", "rich"}  # fmt: skip


def names_for_type_checkers() -> set[str]:
    """Names that the module imports under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(trivec.__file__).read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    aliases = [
        alias for block in blocks for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    return {alias.asname or alias.name for alias in aliases}


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh Python has imported after this code."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_all_is_the_sorted_public_names() -> None:
    assert trivec.__all__ == sorted(trivec.__all__)
    assert set(trivec.__all__) == names_for_type_checkers()
    assert set(trivec.__all__) == {
        "AsyncClient", "Client", "Collection", "Document", "Embeddings", "Encoder", "Fingerprint", "Hit", "Ragged",
        "Reranker", "TrivecError", "load", "load_reranker", "open", "score", "score_pairs",
    }  # fmt: skip


@pytest.mark.parametrize("name", trivec.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(trivec, name)
    assert value.__doc__
    assert value.__module__.startswith("trivec.")
    assert name in dir(trivec)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'trivec' has no attribute 'lode'"):
        trivec.lode  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_package() -> None:
    assert trivec.__version__ == importlib.metadata.version("trivec")


def test_importing_trivec_imports_nothing_heavy() -> None:
    assert modules_after("import trivec, trivec.errors") & HEAVY == set()


def test_values_and_scores_need_no_runtime() -> None:
    loaded = modules_after("import trivec; trivec.score; trivec.Embeddings; trivec.Document")
    assert "numpy" in loaded
    assert loaded & {"torch", "transformers", "onnxruntime", "onnx", "tokenizers", "qdrant_edge"} == set()


def test_loading_an_encoder_class_imports_no_torch() -> None:
    assert modules_after("import trivec; trivec.load; trivec.Encoder") & {"torch", "transformers"} == set()
