"""How good retrieval is: judged sets, every way of ranking measured, and whether a difference is more than chance."""

from trivec.evaluate.comparison import ComparedRuns, Comparison, compare_runs
from trivec.evaluate.evaluation import EvaluateOptions, Evaluation, SystemResult, evaluate
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts import read_judged, read_queries
from trivec.evaluate.library_evaluation import evaluate_library
from trivec.evaluate.measures import Measured, Ranking, Relevance, measure, parse_measures
from trivec.evaluate.presets import PRESETS, preset
from trivec.evaluate.runs import Run, read_relevance, read_run, write_run
from trivec.evaluate.tuning import Tuned, tune

__all__ = [
    "PRESETS",
    "ComparedRuns",
    "Comparison",
    "EvaluateOptions",
    "Evaluation",
    "JudgedQuery",
    "JudgedSet",
    "Measured",
    "Ranking",
    "Relevance",
    "Run",
    "SystemResult",
    "Tuned",
    "compare_runs",
    "evaluate",
    "evaluate_library",
    "measure",
    "parse_measures",
    "preset",
    "read_judged",
    "read_queries",
    "read_relevance",
    "read_run",
    "tune",
    "write_run",
]
