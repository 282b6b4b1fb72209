"""Fixed dimensional encodings against MaxSim, and against a calculation cell by cell."""

import numpy as np
import pytest

from trivec.errors import InputError
from trivec.index.fixed_encoding import FixedEncoder, FixedEncodingOptions
from trivec.ragged import Ragged
from trivec.types import FloatArray


def unit(rng: np.random.Generator, *shape: int) -> FloatArray:
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def passages_of(rng: np.random.Generator, lengths: list[int], width: int) -> Ragged:
    """Passages about topics: the vectors of one passage scatter around a few of 60 directions."""
    topics = unit(rng, 60, width)
    rows = []
    for length in lengths:
        about = topics[rng.choice(60, 4)]
        vectors = about[rng.integers(0, 4, length)] + 0.8 * unit(rng, length, width)
        rows.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    return Ragged.from_rows(rows, width)


def sum_of_maxima(query: FloatArray, passages: Ragged) -> FloatArray:
    return np.array([(query @ passage.T).max(axis=1).sum() for passage in passages], np.float32)


class TestCells:
    def test_no_planes_gives_sums_and_means(self) -> None:
        encoder = FixedEncoder(2, FixedEncodingOptions(repetitions=1, bits=0, projection=0))
        vectors = np.array([[1, 2], [3, 6]], np.float32)
        assert encoder.width == 2
        np.testing.assert_array_equal(encoder.encode_query_tokens(vectors), [4, 8])
        np.testing.assert_array_equal(encoder.encode_passage_tokens(Ragged.from_rows([vectors])), [[2, 4]])

    def test_one_plane_by_hand(self) -> None:
        encoder = FixedEncoder(2, FixedEncodingOptions(repetitions=1, bits=1, projection=0))
        above, below = np.array([[1, 2]], np.float32), np.array([[-1, -2]], np.float32)
        query = encoder.encode_query_tokens(np.concatenate([above, above, below])).reshape(2, 2)
        assert sorted(query.tolist()) == [[-1, -2], [2, 4]]
        both, one = encoder.encode_passage_tokens(Ragged.from_rows([np.concatenate([above, below]), below]))
        assert sorted(both.reshape(2, 2).tolist()) == [[-1, -2], [1, 2]]
        assert one.reshape(2, 2).tolist() == [[-1, -2], [-1, -2]], "the empty cell takes the only one there is"

    @pytest.mark.parametrize("bits", [0, 1, 3, 5])
    def test_equals_a_loop_over_cells(self, bits: int) -> None:
        rng = np.random.default_rng(3)
        encoder = FixedEncoder(6, FixedEncodingOptions(repetitions=3, bits=bits, projection=4, seed=5))
        passages = passages_of(rng, [1, 7, 0, 3, 40], 6)
        found = encoder.encode_passage_tokens(passages).reshape(5, 3, 1 << bits, 4)
        for repetition in range(3):
            planes, projection = encoder._planes[repetition], encoder._projections[repetition]
            for row, passage in enumerate(passages):
                cells = [sum(int(bit) << i for i, bit in enumerate(v @ planes > 0)) for v in passage]
                for cell in range(1 << bits):
                    if not cells:
                        assert not found[row, repetition, cell].any()
                        continue
                    nearest = min(cells, key=lambda other: ((other ^ cell).bit_count(), other))
                    members = passage[[place for place, other in enumerate(cells) if other == nearest]]
                    expected = (members.astype(np.float64) @ projection).mean(axis=0)
                    np.testing.assert_allclose(found[row, repetition, cell], expected, atol=1e-6)


class TestApproximation:
    def test_exact_where_every_query_vector_is_in_the_passage(self) -> None:
        rng = np.random.default_rng(0)
        encoder = FixedEncoder(16, FixedEncodingOptions(repetitions=4, bits=10, projection=0))
        query = np.linalg.qr(rng.standard_normal((16, 16)))[0].astype(np.float32)[:3]
        product = encoder.encode_passage_tokens(Ragged.from_rows([query]))[0] @ encoder.encode_query_tokens(query)
        assert product == pytest.approx(3, abs=1e-4), "three lonely vectors in cells of their own"

    def test_follows_maxsim(self) -> None:
        rng = np.random.default_rng(1)
        passages = passages_of(rng, rng.integers(5, 40, 800).tolist(), 32)
        encoder = FixedEncoder(32, FixedEncodingOptions(repetitions=20, bits=4, projection=8))
        encodings = encoder.encode_passage_tokens(passages)
        assert encodings.shape == (800, 20 * 16 * 8) and encodings.dtype == np.float32
        recalls, correlations = [], []
        for target in range(0, 800, 40):
            noisy = passages[target][:4] + 0.5 * unit(rng, 4, 32)[: len(passages[target][:4])]
            exact = sum_of_maxima(noisy, passages)
            product = encodings @ encoder.encode_query_tokens(noisy)
            correlations.append(np.corrcoef(exact, product)[0, 1])
            recalls.append(np.isin(np.argsort(-exact)[:10], np.argsort(-product)[:100]).mean())
        assert np.mean(correlations) > 0.7
        assert np.mean(recalls) > 0.95, "the best 10 are among 100 candidates"

    def test_more_repetitions_less_noise(self) -> None:
        rng = np.random.default_rng(2)
        passages = passages_of(rng, [12] * 300, 24)
        query = passages[7][:5] + 0.3 * unit(rng, 5, 24)
        exact = sum_of_maxima(query, passages)
        found = []
        for repetitions in (1, 32):
            encoder = FixedEncoder(24, FixedEncodingOptions(repetitions=repetitions, bits=3, projection=4))
            product = encoder.encode_passage_tokens(passages) @ encoder.encode_query_tokens(query)
            found.append(np.corrcoef(exact, product)[0, 1])
        assert found[1] > found[0] + 0.1

    def test_a_center_is_kept_exactly(self) -> None:
        center = np.array([3, 0, 4], np.float32)
        for projection in (1, 2, 3):
            encoder = FixedEncoder(3, FixedEncodingOptions(repetitions=5, bits=2, projection=projection), center)
            passage = encoder.encode_passage_tokens(Ragged.from_rows([center[None]]))[0]
            assert passage @ encoder.encode_query_tokens(center[None]) == pytest.approx(25, abs=1e-4)

    def test_a_center_takes_out_what_is_common(self) -> None:
        rng = np.random.default_rng(4)
        along = unit(rng, 32)
        passages = passages_of(rng, [15] * 400, 32)
        passages = Ragged(passages.values - (passages.values @ along)[:, None] * along, passages.offsets)
        common = 2 * along
        shifted = Ragged(passages.values + common, passages.offsets)
        options = FixedEncodingOptions(repetitions=10, bits=4, projection=8)
        query = passages[3][:5]
        exact = sum_of_maxima(query + common, shifted)
        found = []
        for center in (None, common):
            encoder = FixedEncoder(32, options, center)
            assert encoder.width == 10 * 16 * 8
            found.append(encoder.encode_passage_tokens(shifted) @ encoder.encode_query_tokens(query + common))
        assert np.corrcoef(exact, found[1])[0, 1] > np.corrcoef(exact, found[0])[0, 1] + 0.05


class TestUse:
    def test_same_seed_same_encodings(self) -> None:
        passages = passages_of(np.random.default_rng(0), [3, 4], 8)
        first, again, other = (
            FixedEncoder(8, FixedEncodingOptions(seed=seed)).encode_passage_tokens(passages) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_alone_or_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        passages = passages_of(np.random.default_rng(0), [3, 0, 9, 1], 8)
        encoder = FixedEncoder(8)
        together = encoder.encode_passage_tokens(passages)
        alone = [encoder.encode_passage_tokens(passages.select(slice(i, i + 1)))[0] for i in range(4)]
        np.testing.assert_allclose(together, alone, atol=1e-6)
        monkeypatch.setattr("trivec.index.fixed_encoding._BLOCK_VALUES", 2 * encoder.width)
        np.testing.assert_allclose(together, encoder.encode_passage_tokens(passages), atol=1e-6)

    def test_nothing_to_encode(self) -> None:
        encoder = FixedEncoder(8)
        assert encoder.encode_passage_tokens(Ragged.from_rows([], 8)).shape == (0, encoder.width)
        assert not encoder.encode_query_tokens(np.zeros((0, 8), np.float32)).any()
        assert not encoder.encode_passage_tokens(passages_of(np.random.default_rng(0), [0], 8)).any()

    def test_other_width_is_refused(self) -> None:
        with pytest.raises(InputError, match="width 8"):
            FixedEncoder(8).encode_query_tokens(np.zeros((2, 7), np.float32))
        with pytest.raises(InputError, match="width 8"):
            FixedEncoder(8, center=np.zeros(7, np.float32))

    @pytest.mark.parametrize("wrong", [{"repetitions": 0}, {"bits": 11}, {"bits": -1}, {"projection": -1}])
    def test_options_are_checked(self, wrong: dict[str, int]) -> None:
        with pytest.raises(InputError, match="fixed encodings"):
            FixedEncodingOptions(**wrong)
