"""Models as the package ``mteb`` takes them, so that MTEB, C-MTEB and the hundreds of tasks beside them can be run."""

from trivec.evaluate.mteb.encoder import MtebEncoder
from trivec.evaluate.mteb.search import MtebSearch
from trivec.evaluate.mteb.tasks import ENCODER, TaskRun, TaskScore, find_tasks, run_tasks

__all__ = ["ENCODER", "MtebEncoder", "MtebSearch", "TaskRun", "TaskScore", "find_tasks", "run_tasks"]
