"""When a run measures, saves, prints and stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trivec.progress import Progress
from trivec.train.interrupts import StopRequest
from trivec.train.step_records import StepRecords


@dataclass(frozen=True)
class Schedule:
    """When things happen.

    Attributes:
        measure_every: steps between measurements; 0 measures never.
        save_every: steps between checkpoints.
        log_every: steps between lines.
        metric: by which checkpoints are compared; larger is better.
        patience: measurements without a better one before the run ends; 0 waits for ever.
    """

    measure_every: int
    save_every: int
    log_every: int
    metric: str
    patience: int = 0


class RunCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Follows a schedule, and a request to stop.

    The best checkpoint is saved when it is found. All that is remembered stands in the trainer's state, which is part
    of each checkpoint.
    """

    def __init__(self, schedule: Schedule, stop: StopRequest, records: StepRecords, show: bool) -> None:
        self._schedule, self._stop, self._records, self._show = schedule, stop, records, show
        self._rate = 0.0
        self._bar: Progress | None = None
        self.interrupted = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Show a bar."""
        self._bar = Progress("training", "steps", self._show, state.max_steps)
        self._bar.update(state.global_step)

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Note the learning rate that the step was made with."""
        self._rate = float(kwargs["optimizer"].param_groups[0]["lr"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Decide what happens after this step."""
        schedule, step = self._schedule, state.global_step
        self._records.close(step, self._rate)
        if self._bar is not None:
            self._bar.update(1)
        is_last = step >= state.max_steps
        if self._stop.fired(args.device) and not is_last:
            self.interrupted = control.should_training_stop = True
        control.should_evaluate = bool(schedule.measure_every) and (is_last or step % schedule.measure_every == 0)
        control.should_evaluate &= not self.interrupted
        control.should_save = is_last or self.interrupted or step % schedule.save_every == 0
        if step % schedule.log_every == 0 or control.should_evaluate or control.should_save:
            control.should_log = True
            self._records.flush()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Save a model that is the best so far; stop when there was none for too long."""
        name = f"eval_{self._schedule.metric}"
        value = kwargs["metrics"][name]
        if state.best_metric is None or value > state.best_metric:
            state.best_metric, state.best_global_step = value, state.global_step
            state.best_model_checkpoint = None  # until it is saved
            control.should_save = True
            return
        best = state.best_global_step or 0
        since = {entry["step"] for entry in state.log_history if name in entry and entry["step"] > best}
        if self._schedule.patience and len(since) >= self._schedule.patience:
            control.should_training_stop = control.should_save = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Put the bar away."""
        if self._bar is not None:
            self._bar.__exit__()


class ReportCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells each measurement in a line."""

    def __init__(self, report: Callable[[str], None], metric: str) -> None:
        self._report, self._metric = report, metric

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """One measure of every system."""
        values = {name.removeprefix("eval_"): value for name, value in kwargs["metrics"].items()}
        self._report(f"step {state.global_step}: {in_words(values, self._metric.partition(' ')[2])}")


def in_words(values: Mapping[str, float], measure: str) -> str:
    """One measure of all systems: ``nDCG@10 dense 0.812, sparse 0.640``."""
    ending = f" {measure}"
    shown = [f"{name.removesuffix(ending)} {value:.3f}" for name, value in values.items() if name.endswith(ending)]
    return f"{measure} {', '.join(shown)}"
