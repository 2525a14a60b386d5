"""Numbers of the largest lattices and longest runs: products beyond 64 bits, counts beyond 32, other units of stress."""

import math

import numpy as np
import pytest

from mpiepm.engine import interpolation, strips
from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import fewest_ranks, slabs
from mpiepm.engine.split import SplitEngine, unit_of_squares
from mpiepm.grid.domain import even_partition
from mpiepm.grid.rng import philox
from mpiepm.models import ferrero
from mpiepm.models.parameters import parse
from mpiepm.observe import event_counts
from mpiepm.observe.clusters import mean_size
from mpiepm.simulation import Simulation

SHAPE = (36, 50)


@pytest.mark.parametrize("shape", [(2**17, 2**17), (2**20, 2**20), (2**20, 999_983), (7, 5)])
@pytest.mark.parametrize("number", [10**9, 999_999_937, 12])
def test_tracers_on_sites(shape: tuple[int, int], number: int) -> None:
    for first in (0, number // 3, number - 4):
        position = np.empty((4, 2))
        interpolation.on_sites(number, first, *shape, position)
        expected = [divmod(k * shape[0] * shape[1] // number, shape[1]) for k in range(first, first + 4)]
        assert position.tolist() == [list(site) for site in expected]


@pytest.mark.parametrize("place", [math.inf, -math.inf, math.nan, 1e300, -1e300])
def test_a_tracer_out_of_this_world_is_on_some_row(place: float) -> None:
    row = np.full(1, -7)
    interpolation.rows_of(np.array([[place, 0.0]]), 5, row)
    assert 0 <= row[0] < 5


@pytest.mark.parametrize("bound", [0.0, 1e-320, 1e-30, 1e-19])
def test_candidates_that_are_further_apart_than_any_integer(bound: float) -> None:
    rules = ferrero.Rules(False, bound, 0.0, 0.0, math.inf, bound, ferrero._skip(bound), 0.1, 0.05)
    rows, columns = 300, 37
    stress, strain, active = np.zeros((rows, columns)), np.zeros((rows, columns)), np.zeros((rows, columns), np.int8)
    words = np.zeros(5, np.uint64)
    row, column, sign = np.empty(rows * columns, np.int64), np.empty(rows * columns, np.int64), np.empty(rows * columns)
    found = ferrero.switch(
        0, 2**40, 1, rules, np.zeros((rows, columns)), stress, active, strain, words.view(np.uint8), words, 0, row, column, sign
    )
    assert found == (0, 0)
    assert not active.any()


def test_mean_size_of_one_cluster_on_the_largest_lattice() -> None:
    assert mean_size(np.array([2**40]), np.array([1])) == 2.0**40
    assert mean_size(np.array([1, 2**40]), np.array([2**20, 1])) == pytest.approx(2.0**40, rel=1e-5)
    assert mean_size(np.array([1, 2, 3]), np.array([2, 1, 3])) == 33 / 13
    assert mean_size(np.empty(0, np.int64), np.empty(0, np.int64)) == 0.0


def test_event_counts_stop_at_the_largest() -> None:
    counts = np.full((2, 3), 2**32 - 2, np.uint32)
    for _ in range(3):
        event_counts._add(5, np.array([6]), np.array([2]), counts)
    assert counts[1, 2] == 2**32 - 1
    assert counts[0, 2] == 2**32 - 2


def test_draws_of_late_windows_and_far_rows_are_their_own() -> None:
    words = {philox(1, 2, a, b, c, 0)[0] for a in (3, 3 + 2**32) for b in (4, 4 + 2**32) for c in (5, 5 + 2**32, 5 + 2**62)}
    assert len(words) == 12


def test_an_even_cut_of_all_sites() -> None:
    assert even_partition(2**40, 7)[-1] == 2**40


@pytest.mark.parametrize("drops", [[3e6] * 20, [1e30], [1e150], [5.0, 1e100, 2.0]])
def test_sums_of_squares_of_large_drops_stop_where_the_far_field_is_due(drops: list[float]) -> None:
    events = np.zeros((len(drops), 5))
    events[:, 3] = drops
    _, squares = strips.crossing(events, np.array([0, 64, 128]), 16, 2.0**-20, 2**50, np.empty_like(events))
    exact = sum(drop**2 for drop in drops) * 2.0**20
    assert squares == pytest.approx(min(exact, 2**50))


@pytest.mark.parametrize(
    ("tolerance", "mean_drop"), [(300.0, 1.0), (1e-12, 1e-9), (1e230, 1e100), (1e-200, 1e-100), (1e30, 1e-9)]
)  # fmt: skip
def test_unit_of_squares(tolerance: float, mean_drop: float) -> None:
    unit = unit_of_squares(tolerance, mean_drop)
    assert math.log2(unit).is_integer()
    assert tolerance / unit <= 2**50
    assert unit <= max(2.0**-19 * mean_drop**2, 2.0**-48 * tolerance)
    assert unit_of_squares(300.0, 1.0) == 2.0**-20


def trajectory(engine: str, log2_scale: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Events, stress and strain after a while, in other units of stress: a power of 4, by which all scales exactly."""
    scale = 4.0 ** (log2_scale / 2)
    overrides = [f"lattice.size={list(SHAPE)}", f"model.temperature={0.1 * scale * math.sqrt(scale)!r}", *(
        f"model.{key}={scale!r}" for key in ("threshold", "mean_drop", "initial_stress_std")
    ), f"engine={engine}"]  # fmt: skip
    params = parse("", overrides)
    simulation = Simulation(slabs(params), params)
    for _ in simulation.engine.advance(simulation.state, 30.0):
        pass
    return simulation.state.events, simulation.state.stress / scale, simulation.state.plastic_strain / scale


@pytest.mark.parametrize("engine", ["{name='sweep'}", "{name='event'}", "{name='split', radius=6, strip=12, window=0.5}"])
@pytest.mark.parametrize("log2_scale", [24, -24, 60])
def test_the_units_of_stress_do_not_matter(engine: str, log2_scale: int) -> None:
    """Pa or GPa: the same events, bit by bit."""
    events, stress, strain = trajectory(engine, 0)
    other = trajectory(engine, log2_scale)
    assert other[0] == events > 100
    assert np.array_equal(other[1], stress)
    assert np.array_equal(other[2], strain)


@pytest.mark.parametrize("engine", ["{name='event'}", "{name='split', radius=6, strip=12}"])
def test_the_number_of_a_candidate_survives_a_checkpoint(engine: str) -> None:
    params = parse("", [f"lattice.size={list(SHAPE)}", "model.temperature=0.1", f"engine={engine}"])
    simulation = Simulation(slabs(params), params)
    one = simulation.engine
    assert isinstance(one, EventEngine | SplitEngine)
    one._clocks.draws[:] = 2**53 - np.arange(SHAPE[0])
    before = one._clocks.draws.copy()
    scalars, fields = one.save()
    one._clocks.draws[:] = 0
    one.restore(scalars, fields)
    assert np.array_equal(one._clocks.draws, before)


@pytest.mark.parametrize(
    ("size", "engine", "fewest"),
    [
        ((4096, 4096), "sweep", 1), ((65536, 65536), "sweep", 4), ((131072, 131072), "sweep", 13),
        ((131072, 131072), "split", 9), ((65536, 1024), "sweep", 1),
    ],
)  # fmt: skip
def test_messages_are_shorter_than_mpi_can_count(size: tuple[int, int], engine: str, fewest: int) -> None:
    params = parse("", [f"lattice.size={list(size)}", "model.temperature=0.1", f"engine.name={engine}"])
    assert fewest_ranks(params) == fewest
