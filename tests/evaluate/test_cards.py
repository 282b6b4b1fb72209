"""Model cards with results: the hub's own reader finds them, and everything else stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.cards import write_card
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.pair_evaluation import evaluate_pairs
from trivec.evaluate.results import Results
from trivec.evaluate.text_pairs import TextPairs


@pytest.fixture
def measured(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> Results:
    options = EvaluateOptions(["dense", "bm25"], ["nDCG@10", "R@100", "AP"])
    return Results(options, [evaluate(load_tiny("m3"), judged, options)])


def test_the_hub_reads_what_is_written(measured: Results, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    write_card(path, measured)
    card = ModelCard.load(path)
    results = card.data.eval_results
    assert results is not None
    assert [result.metric_type for result in results] == ["ndcg_at_10", "recall_at_100", "map"] * 2
    assert {result.dataset_name for result in results} == {"set"}
    expected = measured.sets[0].systems["dense"].measured.means()["nDCG@10"]
    assert results[0].metric_value == pytest.approx(expected, abs=1e-5)
    assert results[0].metric_name == "nDCG@10, dense"


def test_pairs_are_tasks_of_their_own(measured: Results, load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    texts = ["the city of paris", "a river", "bread"]
    for name, grades in (("sts", [1.0, 2.0, 3.0]), ("bitext", None)):
        pairs = TextPairs(name, texts, texts, grades, [""] * 3)
        measured.add(evaluate_pairs(load_tiny("m3"), pairs, ["dense"]))
    write_card(tmp_path / "README.md", measured)
    results = ModelCard.load(tmp_path / "README.md").data.eval_results
    assert results is not None
    found = {(result.task_type, result.dataset_name, result.metric_type) for result in results[6:]}
    assert {("sts", "sts", "cosine_spearman"), ("bitext-mining", "bitext", "accuracy")} <= found


def test_the_rest_of_a_card_stays(measured: Results, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("---\nlicense: mit\nlanguage: [de, fr]\nmodel-index: []\n---\n# Ours\n\n---\nfür alle\n", "utf-8")
    write_card(path, measured)
    write_card(path, measured)
    card = ModelCard.load(path)
    assert (card.data.license, card.data.language) == ("mit", ["de", "fr"])
    assert card.text.endswith("# Ours\n\n---\nfür alle\n")
    assert path.read_text(encoding="utf-8").count("model-index") == 1


@pytest.mark.parametrize(
    ("text", "message"), [("---\na: [\n---\n", "its header is no YAML"), ("---\n- a\n---\n", "holds no fields")]
)
def test_a_header_that_cannot_be_read_is_left_alone(text: str, message: str, measured: Results, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        write_card(path, measured)
    assert path.read_text() == text
