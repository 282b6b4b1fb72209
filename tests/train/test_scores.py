from __future__ import annotations

import numpy as np
import pytest
import torch
from objective_cases import LargestTensor, gradients, naive_maxsim, naive_sparse, random_vectors
from torch import Tensor

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.encode.lexical import max_weights
from trivec.errors import InputError, MissingHeadError
from trivec.ragged import Ragged
from trivec.train.scores import TRAINED_HEADS, ScoreOptions, Scores, score_all, score_own
from trivec.train.vectors import TextVectors

BLOCKS = [1, 300, 5_000, 1 << 25]
"""From one pair at a time to everything at once."""


def sparse(tokens: list[list[int]], weights: list[list[float]]) -> TextVectors:
    leaves = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    return TextVectors(weights=leaves, tokens=torch.tensor(tokens))


def multi(vectors: list[list[list[float]]], lengths: list[int]) -> TextVectors:
    values = torch.tensor(vectors, dtype=torch.float64, requires_grad=True)
    return TextVectors(multi=values, multi_mask=torch.arange(values.shape[1])[None] < torch.tensor(lengths)[:, None])


def assert_same(scores: Tensor, naive: Tensor, *sides: TextVectors) -> None:
    """The same scores, and the same gradient for random gradients of the scores."""
    torch.testing.assert_close(scores, naive, rtol=0, atol=1e-12)
    direction = torch.randn(naive.shape, generator=torch.Generator().manual_seed(0), dtype=naive.dtype)
    found, expected = gradients((scores * direction).sum(), *sides), gradients((naive * direction).sum(), *sides)
    for part, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("seed", range(4))
def test_all_pairs_equal_the_plain_way(seed: int, block_bytes: int) -> None:
    queries, passages = random_vectors(seed, texts=3, tokens=4), random_vectors(seed + 50, texts=6, tokens=9)
    scores = score_all(queries, passages, TRAINED_HEADS, ScoreOptions(block_bytes))
    assert queries.dense is not None and passages.dense is not None
    assert_same(scores.of("dense"), queries.dense @ passages.dense.T, queries, passages)
    assert_same(scores.of("sparse"), naive_sparse(queries, passages, 7), queries, passages)
    assert_same(scores.of("multi"), naive_maxsim(queries, passages), queries, passages)


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("seed", range(4))
def test_own_groups_are_blocks_of_all_pairs(seed: int, block_bytes: int) -> None:
    queries, passages = random_vectors(seed, texts=3, tokens=4), random_vectors(seed + 50, texts=6, tokens=9)
    options = ScoreOptions(block_bytes)
    own, every = score_own(queries, passages, TRAINED_HEADS, options), score_all(queries, passages, TRAINED_HEADS)
    columns = torch.arange(6).view(3, 2)
    for head in TRAINED_HEADS:
        assert_same(own.of(head), every.of(head).gather(1, columns), queries, passages)


@pytest.mark.parametrize("block_bytes", [1, 1 << 25])
def test_gradients_agree_with_differences(block_bytes: int) -> None:
    queries, passages = random_vectors(7, texts=2, tokens=3), random_vectors(8, texts=4, tokens=4)

    def scores(*tensors: Tensor) -> tuple[Tensor, ...]:
        sides = queries.with_tensors(tensors[:3]), passages.with_tensors(tensors[3:])
        found = [how(*sides, TRAINED_HEADS, ScoreOptions(block_bytes)) for how in (score_all, score_own)]
        return tuple(part.of(head) for part in found for head in TRAINED_HEADS)

    # Weights of 0 have a kink there: only differences above it say anything.
    leaves = [tensor.detach().clone() for tensor in (*queries.tensors(), *passages.tensors())]
    for leaf in leaves:
        leaf.requires_grad_(leaf.dim() != 2 or leaf.shape[1] == 6)
    assert torch.autograd.gradcheck(scores, leaves)


def test_sparse_gradients_agree_with_differences() -> None:
    queries = sparse([[1, 2, 1], [3, 2, 4]], [[0.5, 0.3, 0.9], [0.4, 0.7, 0.2]])
    passages = sparse([[2, 2], [1, 3], [4, 1], [9, 3]], [[0.6, 0.1], [0.8, 0.35], [0.45, 0.55], [0.25, 0.15]])

    def scores(query_weights: Tensor, passage_weights: Tensor) -> tuple[Tensor, Tensor]:
        sides = queries.with_tensors([query_weights]), passages.with_tensors([passage_weights])
        return score_all(*sides, ["sparse"]).of("sparse"), score_own(*sides, ["sparse"]).of("sparse")

    assert torch.autograd.gradcheck(scores, [*queries.tensors(), *passages.tensors()])


def test_training_scores_as_searching_does() -> None:
    vectors = random_vectors(3, texts=5)
    assert vectors.dense is not None and vectors.weights is not None and vectors.tokens is not None
    assert vectors.multi is not None and vectors.multi_mask is not None
    arrays = [part.detach().numpy().astype(np.float32) for part in vectors.tensors()]
    rows = zip(arrays[2], vectors.multi_mask.numpy(), strict=True)
    embeddings = Embeddings(
        dense=arrays[0],
        sparse=max_weights(list(vectors.tokens.numpy()), list(arrays[1]), 7, ()),
        multi=Ragged.from_rows([values[mask] for values, mask in rows], 4),
    )
    found, expected = score_all(vectors, vectors, TRAINED_HEADS), scoring.score(embeddings, embeddings)
    for head, wanted in {"dense": expected.dense, "sparse": expected.sparse, "multi": expected.multi}.items():
        np.testing.assert_allclose(found.of(head).detach().numpy(), wanted, rtol=0, atol=1e-6)  # type: ignore[arg-type]


def test_dense_scores_by_hand() -> None:
    queries = TextVectors(dense=torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
    passages = TextVectors(dense=torch.tensor([[0.8, 0.6], [-1.0, 0.0]]))
    torch.testing.assert_close(
        score_all(queries, passages, ["dense"]).of("dense"), torch.tensor([[0.8, -1], [0.96, -0.6]])
    )
    torch.testing.assert_close(score_own(queries, passages, ["dense"]).of("dense"), torch.tensor([[0.8], [-0.6]]))


def test_a_repeated_token_counts_once_with_its_largest_weight() -> None:
    queries = sparse([[5, 8, 5]], [[0.5, 1.0, 2.0]])
    passages = sparse([[5, 5, 9], [8, 8, 5], [9, 9, 9]], [[3.0, 4.0, 7.0], [0.25, 0.5, 1.0], [1.0, 1.0, 1.0]])
    scores = score_all(queries, passages, ["sparse"]).of("sparse")
    assert scores.tolist() == [[8.0, 2.5, 0.0]]
    query, passage = gradients(scores.sum(), queries, passages)
    assert query.tolist() == [[0.0, 0.5, 5.0]]
    assert passage.tolist() == [[0.0, 2.0, 0.0], [0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]


def test_of_equal_weights_the_first_has_the_gradient() -> None:
    queries, passages = sparse([[5, 5, 5]], [[1.0, 2.0, 2.0]]), sparse([[5, 6]], [[3.0, 1.0]])
    for scores in (score_all(queries, passages, ["sparse"]), score_own(queries, passages, ["sparse"])):
        assert scores.of("sparse").tolist() == [[6.0]]
        assert gradients(scores.of("sparse").sum(), queries)[0].tolist() == [[0.0, 3.0, 0.0]]


def test_padding_and_zero_weights_never_match() -> None:
    queries = sparse([[0, 3, -1]], [[0.0, 1.0, 5.0]])
    passages = sparse([[0, -1], [3, 0]], [[4.0, 5.0], [0.0, 1.0]])
    assert score_all(queries, passages, ["sparse"]).of("sparse").tolist() == [[0.0, 0.0]]
    assert score_own(queries, passages, ["sparse"]).of("sparse").tolist() == [[0.0, 0.0]]
    assert [
        part.abs().sum().item()
        for part in gradients(score_all(queries, passages, ["sparse"]).of("sparse").sum(), queries)
    ] == [0]


def test_maxsim_with_negative_similarities_alone() -> None:
    queries = multi([[[1, 0], [0, 1]], [[-1, 0], [0, 0]]], [2, 1])
    passages = multi([[[-0.6, -0.8], [0, 0]], [[0.6, 0.8], [1, 0]]], [1, 2])
    scores = score_all(queries, passages, ["multi"]).of("multi")
    torch.testing.assert_close(scores, torch.tensor([[-0.7, 0.9], [0.6, -0.6]], dtype=torch.float64))
    own = score_own(queries, passages, ["multi"]).of("multi")
    torch.testing.assert_close(own, torch.tensor([[-0.7], [-0.6]], dtype=torch.float64))


def test_maxsim_of_a_text_with_itself_is_one_and_of_none_is_zero() -> None:
    queries = multi([[[0.6, 0.8], [1, 0]], [[0, 0], [0, 0]]], [2, 0])
    for scores in (
        score_all(queries, queries, ["multi"]).of("multi"),
        score_own(queries, queries, ["multi"]).of("multi"),
    ):
        assert scores[0, 0].item() == pytest.approx(1)
        assert scores[1].abs().max().item() == 0
        assert not gradients(scores[1].sum(), queries)[0].any()


@pytest.mark.parametrize(("vectors", "others"), [(0, 2), (2, 0), (0, 0)])
def test_a_batch_without_any_vectors_scores_zero(vectors: int, others: int) -> None:
    sides = [
        TextVectors(
            multi=torch.ones(texts, room, 3, requires_grad=True), multi_mask=torch.ones(texts, room, dtype=torch.bool)
        )
        for texts, room in ((2, vectors), (4, others))
    ]
    for scores in (score_all(*sides, ["multi"]).of("multi"), score_own(*sides, ["multi"]).of("multi")):
        assert not scores.any()
        assert not any(bool(part.any()) for part in gradients(scores.sum(), *sides))


def test_of_equal_similarities_the_first_has_the_gradient() -> None:
    queries, passages = multi([[[1, 0]]], [1]), multi([[[0, 1], [1, 0], [1, 0]]], [3])
    scores = score_all(queries, passages, ["multi"]).of("multi")
    assert gradients(scores.sum(), passages)[0].tolist() == [[[0, 0], [1, 0], [0, 0]]]


def test_more_padding_changes_no_score() -> None:
    queries, passages = random_vectors(1, texts=2), random_vectors(2, texts=4)
    wide = score_all(queries.padded(11, 12), passages.padded(13, 14), TRAINED_HEADS)
    narrow = score_all(queries, passages, TRAINED_HEADS)
    for head in TRAINED_HEADS:
        torch.testing.assert_close(wide.of(head), narrow.of(head), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_scores_are_float32_also_of_half_precision(dtype: torch.dtype, autocast: bool) -> None:
    queries, passages = (
        side.with_tensors([part.detach().to(dtype) for part in side.tensors()]).detached()
        for side in (random_vectors(1, texts=2), random_vectors(2, texts=4))
    )
    exact = [side.with_tensors([part.double() for part in side.tensors()]) for side in (queries, passages)]
    for how in (score_all, score_own):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            scores = how(queries, passages, TRAINED_HEADS)
        for head in TRAINED_HEADS:
            assert scores.of(head).dtype == torch.float32
            torch.testing.assert_close(scores.of(head).double(), how(*exact, TRAINED_HEADS).of(head), rtol=0, atol=1e-6)
            found = gradients(scores.of(head).sum(), queries, passages)
            assert all(part.dtype == dtype and bool(part.isfinite().all()) for part in found)


def test_sparse_memory_does_not_depend_on_the_vocabulary() -> None:
    vocabulary, texts, tokens = 250_002, 16, 64
    random = torch.Generator().manual_seed(0)
    sides = [
        TextVectors(
            weights=torch.rand(texts, tokens, generator=random, requires_grad=True),
            tokens=torch.randint(0, vocabulary, (texts, tokens), generator=random),
        )
        for _ in range(2)
    ]
    counter = LargestTensor()
    with counter:
        score_all(*sides, ["sparse"]).of("sparse").sum().backward()
    # A sort's numbers of all occurrences; one row over the vocabulary would be 1 MB.
    assert 0 < counter.bytes <= texts * tokens * 8


@pytest.mark.parametrize("block_bytes", [50_000, 400_000])
def test_multi_vector_memory_is_bounded(block_bytes: int) -> None:
    queries = random_vectors(0, texts=4, tokens=32, multi_width=8)
    passages = random_vectors(1, texts=16, tokens=128, multi_width=8)
    assert passages.multi is not None
    counter = LargestTensor()
    with counter:
        score_all(queries, passages, ["multi"], ScoreOptions(block_bytes)).of("multi").sum().backward()
    inputs = passages.multi.numel() * 8
    whole = 4 * 32 * 16 * 128 * 8
    assert counter.bytes <= max(inputs, block_bytes) < whole


def test_what_cannot_be_scored_is_refused() -> None:
    vectors = random_vectors(0, texts=3)
    with pytest.raises(MissingHeadError, match="the passages have no 'multi' vectors, only dense, sparse"):
        score_all(vectors, vectors.only(["dense", "sparse"]), ["multi"])
    with pytest.raises(MissingHeadError, match="no 'sparse' scores"):
        Scores(dense=torch.zeros(1, 1)).of("sparse")
    with pytest.raises(InputError, match="4 passages make no equal groups for 3 queries"):
        score_own(vectors, random_vectors(0, texts=4), ["dense"])
    with pytest.raises(InputError, match="block_bytes is 0"):
        ScoreOptions(0)
