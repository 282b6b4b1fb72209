"""`GroupTrainer`: transformers' Trainer for groups of passages.

What is ours: batches come from a plan, the loss from `StepLoss` or `PairLoss`, measurements are retrieval or reranking,
and checkpoints count only once they are whole. All else, from mixed precision to trackers and sharding, is
transformers' own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ProgressCallback, Trainer, TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from trivec.errors import CorruptModelError, InputError
from trivec.train.feeding import PlanLoader
from trivec.train.live_encoder import LiveModel, MeasuresLive
from trivec.train.pair_loss import PairLoss
from trivec.train.runs import RunFolder, mark_complete, remove_old_checkpoints
from trivec.train.step_loss import StepLoss
from trivec.train.step_records import StepRecords


@dataclass(frozen=True, eq=False)
class Measuring:
    """What is measured during a run, and with what.

    Attributes:
        dev: the set that checkpoints are compared on, or None.
        model: the model in training; its runtime is told which module to run.
    """

    dev: MeasuresLive | None
    model: LiveModel


class GroupTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
    """Trains a `StepLoss` or a `PairLoss` on planned batches.

    Args:
        loss: the module that is trained.
        args: of transformers' Trainer; ``output_dir`` is the folder of checkpoints.
        loader: the batches.
        run: where metrics and checkpoints go.
        measuring: what to measure.
        records: takes the loss of each batch.
        callbacks: decide when to measure and save.
        keep_checkpoints: how many stay beside the best.
        head_learning_rate: of the heads, ``loss.head_parts``; None is that of everything.
    """

    loss_is_scaled_for_ga = False
    control: TrainerControl

    def __init__(
        self,
        loss: StepLoss | PairLoss,
        args: TrainingArguments,
        loader: PlanLoader,
        run: RunFolder,
        measuring: Measuring,
        records: StepRecords,
        callbacks: Sequence[TrainerCallback] = (),
        keep_checkpoints: int = 2,
        head_learning_rate: float | None = None,
    ) -> None:
        self._loader, self._run, self._measuring, self._records = loader, run, measuring, records
        self._keep, self._head_rate, self._head_parts = keep_checkpoints, head_learning_rate, loss.head_parts
        super().__init__(model=loss, args=args, callbacks=list(callbacks))
        refuse_stage_3(getattr(self.accelerator.state, "deepspeed_plugin", None))
        if self._is_sharded:
            loss.split = replace(loss.split, equal_parts=True)
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)

    @property
    def _is_sharded(self) -> bool:
        """Whether ranks hold shards of the weights."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def get_train_dataloader(self) -> PlanLoader:
        """The planned batches. Each rank has its slice already: nothing is left to be shared out."""
        return self._loader

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401
        """The loss of a batch; its parts are recorded."""
        loss, parts = model(batch=inputs["batch"].to(self.args.device), step=self.state.global_step)
        self._records.add(loss, parts)
        return (loss, parts) if return_outputs else loss

    def training_step(
        self, model: nn.Module, inputs: Mapping[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Forward and backward.

        The two passes of cached gradients reach each weight several times a step, which DistributedDataParallel does
        not take: there, gradients are averaged over the ranks afterwards.
        """
        if not self._averages_itself(model):
            result: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return result
        with contextlib.ExitStack() as stack:
            stack.enter_context(model.no_sync())  # type: ignore[operator]
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self.accelerator.sync_gradients:
            _average_gradients(model)
        return loss

    def _averages_itself(self, model: nn.Module) -> bool:
        is_wrapped = isinstance(model, nn.parallel.DistributedDataParallel)
        return is_wrapped and self.accelerator.unwrap_model(model).split.mode == "cached"

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer of transformers, with a learning rate of their own for the heads."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if self._head_rate is not None:
            trained = self.model if model is None else model
            heads = {id(p) for name, p in trained.named_parameters() if _is_inside(name, self._head_parts)}
            optimizer.param_groups[:] = _split_groups(optimizer.param_groups, heads, self._head_rate)
        return optimizer

    def evaluate(
        self, eval_dataset: object = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure on the development set with the present weights; all ranks take the first one's word."""
        assert self._measuring.dev is not None
        values = self.measure(self._measuring.dev)
        self.record("measurement", "dev", values)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in values.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def measure(self, evaluator: MeasuresLive) -> dict[str, float]:
        """Values by system and measure, with the present weights."""
        model = self._measuring.model
        model.runtime.module = self.deepspeed or self.model
        values = [evaluator.measure_live(model)]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast_object_list(values, src=0, device=self.args.device)
        return values[0]

    def record(self, kind: str, set_name: str, values: Mapping[str, float]) -> None:
        """Write a measurement to ``metrics.jsonl``."""
        if self.is_world_process_zero():
            step = self.state.global_step
            self._run.append([{"kind": kind, "step": step, "set": set_name, "values": dict(values)}])

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        folder = self._run.checkpoints / f"checkpoint-{self.state.global_step}"
        mark_complete(folder)
        best = self.state.best_global_step if self.state.best_metric is not None else None
        remove_old_checkpoints(self._run.checkpoints, self._keep, best)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Frozen weights are those that the run began with: no checkpoint holds them."""
        if state_dict is None:
            frozen = self._frozen()
            state_dict = {name: value for name, value in self.model.state_dict().items() if name not in frozen}
        super()._save(output_dir, state_dict)

    def _issue_warnings_after_load(self, load_result: Any) -> None:  # noqa: ANN401
        wrong = sorted({*load_result.missing_keys, *load_result.unexpected_keys} - self._frozen())
        if wrong:
            raise CorruptModelError(
                f"the checkpoint and the model differ in {len(wrong)} weights, {wrong[0]} first: begin another run"
            )

    def _frozen(self) -> set[str]:
        return {name for name, parameter in self.model.named_parameters() if not parameter.requires_grad}

    def load_best(self) -> int | None:
        """Put the weights of the best checkpoint back; its step, or None if nothing was measured."""
        step: int | None = self.state.best_global_step if self.state.best_metric is not None else None
        if step is None or step == self.state.global_step:
            return step
        folder: Path = self._run.checkpoints / f"checkpoint-{step}"
        self.state.best_model_checkpoint = str(folder)
        self._load_best_model()
        return step

    def gathered_weights(self) -> dict[str, Tensor] | None:
        """The encoder's weights, whole on the first rank, where ranks hold shards of them; else None.

        All ranks must call it.
        """
        if not self._is_sharded:
            return None
        state: dict[str, Tensor] = self.accelerator.get_state_dict(self.model_wrapped)
        return {name.removeprefix("encoder."): value for name, value in state.items()}


def refuse_stage_3(deepspeed: Any) -> None:  # noqa: ANN401
    """Say before the first step that DeepSpeed's stage 3 would come to no end: one rank alone makes what is saved.

    Args:
        deepspeed: accelerate's plugin, or None.

    Raises:
        InputError: it is at stage 3.
    """
    if deepspeed is not None and deepspeed.zero_stage == 3:
        raise InputError("DeepSpeed's stage 3 does not work here: take its stage 1 or 2, or FSDP for sharded weights")


def _is_inside(name: str, parts: Sequence[str]) -> bool:
    """Whether a parameter belongs to a module of one of these names."""
    return any(part in parts for part in name.split(".")[:-1])


def _split_groups(groups: list[dict[str, Any]], heads: set[int], rate: float) -> list[dict[str, Any]]:
    """Each group without the heads, and the heads of each group."""
    split: list[dict[str, Any]] = []
    for group in groups:
        others = [p for p in group["params"] if id(p) not in heads]
        own = [p for p in group["params"] if id(p) in heads]
        split += [{**group, "params": others}] if others else []
        split += [{**group, "params": own, "lr": rate}] if own else []
    return split


def _average_gradients(model: nn.Module) -> None:
    ranks = torch.distributed.get_world_size()
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= ranks
