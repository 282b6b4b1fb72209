"""Models of transformers' own classes, from local folders: no code in a folder is run, and nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trivec.encode.checkpoints.weights import reason
from trivec.errors import CorruptModelError, require


def load_stock(
    model_class: Any,  # noqa: ANN401
    folder: Path,
    dtype: torch.dtype,
    unneeded: Sequence[str] = (),
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """A model on the CPU, with all of its weights.

    Args:
        model_class: of transformers.
        folder: of the model.
        dtype: of the weights.
        unneeded: beginnings of names of weights that may be missing.
        options: more for ``from_pretrained``.

    Raises:
        CorruptModelError: transformers cannot load it, or it lacks weights.
    """
    log = require("transformers", "torch", "the torch runtime").utils.logging
    verbosity = log.get_verbosity()
    log.set_verbosity_error()  # its load report would repeat the check below
    log.disable_progress_bar()
    try:
        model, report = model_class.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except ImportError:
        raise
    except Exception as error:  # the errors of transformers, safetensors and pickle share no root
        raise CorruptModelError(
            f"transformers cannot load {folder} ({reason(error)}): check the folder, or fetch it again"
        ) from error
    finally:
        log.set_verbosity(verbosity)
        log.enable_progress_bar()
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(tuple(unneeded)))
    if missing:
        raise CorruptModelError(f"{folder} lacks {len(missing)} weights, {missing[0]} first: fetch the model again")
    return model
