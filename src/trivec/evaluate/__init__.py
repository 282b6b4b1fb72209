"""How good retrieval is: measures, runs, judged sets, and whether a difference is more than chance."""

from trivec.evaluate.measures import Ranking, Relevance, measure, parse_measures
from trivec.evaluate.runs import Run, read_relevance, read_run, write_run

__all__ = ["Ranking", "Relevance", "Run", "measure", "parse_measures", "read_relevance", "read_run", "write_run"]
