"""How good retrieval is: judged sets, every way of ranking measured, and whether a difference is more than chance."""

from trivec.evaluate.comparison import ComparedRuns, Comparison, compare_runs
from trivec.evaluate.evaluation import Evaluation, SystemResult, evaluate
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts import read_judged, read_queries
from trivec.evaluate.library_evaluation import evaluate_library
from trivec.evaluate.measures import Measured, Ranking, Relevance, measure, parse_measures
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.pair_evaluation import PairEvaluation, evaluate_pairs
from trivec.evaluate.presets import PRESETS, preset
from trivec.evaluate.reranker_tuning import RerankerFindings, tune_reranker
from trivec.evaluate.runs import Run, read_relevance, read_run, write_run
from trivec.evaluate.text_pairs import TextPairs, read_pairs
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
    "PairEvaluation",
    "Ranking",
    "Relevance",
    "RerankerFindings",
    "Run",
    "SystemResult",
    "TextPairs",
    "Tuned",
    "compare_runs",
    "evaluate",
    "evaluate_library",
    "evaluate_pairs",
    "measure",
    "parse_measures",
    "preset",
    "read_judged",
    "read_pairs",
    "read_queries",
    "read_relevance",
    "read_run",
    "tune",
    "tune_reranker",
    "write_run",
]
