"""The export that one gets from torch without thinking: every operator as it stands, mask and lengths dynamic.

Run by `encoding_speed.py`, for the engines that take an ONNX file: plain ONNX Runtime, OpenVINO and fastembed.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path

import torch
import transformers

_BESIDE = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


class _States(torch.nn.Module):
    """A backbone that gives its last hidden states alone."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def export(model: str, folder: Path) -> None:
    """Write ``model.onnx`` and what a tokenizer needs into a folder."""
    backbone = transformers.AutoModel.from_pretrained(model, attn_implementation="eager")
    ids = torch.full((2, 9), 5)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0  # a batch without padding would be traced without a mask
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        _States(backbone).eval(),
        (ids, mask),
        str(folder / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "last_hidden_state": axes},
        opset_version=17,
        dynamo=False,
    )
    for name in _BESIDE:
        if (Path(model) / name).is_file():
            shutil.copy(Path(model) / name, folder / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    export(arguments.model, arguments.folder)
