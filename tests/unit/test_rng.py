"""Philox against numpy's, and draws that belong to the lattice."""

import numpy as np
import pytest

from mpiepm.core.streams import Stream
from mpiepm.grid.rng import exponential, philox, standard_normal, uniform


@pytest.mark.parametrize("case", range(20))
def test_known_answers_of_numpy(case: int) -> None:
    words = np.random.default_rng(case).integers(0, 2**64, 6, dtype=np.uint64)
    key, counter = words[:2], words[2:]
    counter[0] = min(counter[0], np.uint64(2**64 - 2))
    expected = np.random.Philox(key=key, counter=counter).random_raw(4)  # numpy counts up before it draws
    assert philox(*key, counter[0] + np.uint64(1), *counter[1:]) == tuple(expected)


def test_uniform_is_in_the_unit_interval() -> None:
    assert uniform(np.uint64(0)) == 0.0
    assert uniform(np.uint64(2**64 - 1)) == 1.0 - 2.0**-53
    assert exponential(np.uint64(0)) == 0.0
    assert exponential(np.uint64(2**64 - 1)) == pytest.approx(53 * np.log(2))


@pytest.mark.parametrize("shape", [(12, 8), (13, 7)])
def test_a_block_is_the_slice_of_the_whole(shape: tuple[int, int]) -> None:
    whole = standard_normal(3, Stream.INITIAL_STRESS, 0, shape)
    block = standard_normal(3, Stream.INITIAL_STRESS, 5, (4, shape[1]))
    assert np.array_equal(block, whole[5:9])
    assert not np.array_equal(whole, standard_normal(4, Stream.INITIAL_STRESS, 0, shape))


def test_normal_moments() -> None:
    field = standard_normal(1, Stream.INITIAL_STRESS, 0, (400, 251))
    n = field.size
    assert abs(field.mean()) < 4 / np.sqrt(n)
    assert abs(field.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((field**4).mean() - 3) < 4 * np.sqrt(96 / n)


def test_streams_have_distinct_numbers() -> None:
    assert len({int(stream) for stream in Stream}) == len(Stream)
