"""Very low temperatures: bounds, the barrier of extremal dynamics, windows after quiet times, and what is refused."""

import math

import numpy as np
import pytest

from mpiepm.core.faults import ParameterError
from mpiepm.engine import pending
from mpiepm.engine.bounds import TILE
from mpiepm.engine.event import EventEngine
from mpiepm.engine.single import BATCH
from mpiepm.engine.split import SplitEngine
from mpiepm.grid.domain import Domain
from mpiepm.io import space
from mpiepm.models.parameters import Parameters, parse
from mpiepm.observe.persistence import Persistence, _as_type
from mpiepm.simulation import Simulation


def parameters(shape: tuple[int, int], temperature: float, *overrides: str) -> Parameters:
    dynamics = "extremal" if temperature == 0 else "thermal"
    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = 'event'\ndynamics = '{dynamics}'"
    return parse(text, [f"lattice.size={list(shape)}", *overrides])


def simulation(shape: tuple[int, int], temperature: float, *overrides: str) -> Simulation:
    return Simulation(Domain(shape), parameters(shape, temperature, *overrides))


def perform(s: Simulation, events: int) -> float:
    """So many events, by number: millions may happen before the next barrier as high as the highest so far. Sweeps it took."""
    engine, until = s.engine, s.state.events + events
    assert isinstance(engine, EventEngine)
    began = engine._last
    while s.state.events < until:
        limit = min(BATCH, engine._limit(s.state, np.inf), until - s.state.events)
        s.state.events += engine._perform(s.state, np.inf, limit)
    pending.catch_up_all(engine._response, engine._slab(s.state))
    return engine._last - began


def test_no_rate_is_ever_above_its_bound() -> None:
    s = simulation((12, 70), 0.0005)
    engine, scaled = s.engine, 0
    assert isinstance(engine, EventEngine)
    clocks = engine._clocks
    for _ in range(200):
        perform(s, 10)
        scale = np.repeat(clocks.scale, TILE, axis=1)[:, :70]
        logarithm = -np.maximum(1.0 - np.abs(s.state.stress), 0.0) ** 1.5 / 0.0005
        assert np.all(logarithm <= np.log(clocks.bound.astype(float)) - np.log(scale))
        assert np.all(clocks.bound <= 1.001)
        assert np.allclose(clocks.total, (clocks.bound / scale).sum(axis=1), rtol=1e-12, atol=0.0)
        scaled = max(scaled, int((clocks.scale > 1e50).sum()))
    assert scaled > 12  # most tiles


def test_a_cusp_of_the_barrier_does_not_make_candidates_in_vain() -> None:
    """Within the usual margin, 0.002, of the threshold, rates fall to exp(-22) for a = 1/2."""
    s = simulation((12, 16), 0.002, "model.barrier_exponent=0.5")
    perform(s, 2 * s.domain.sites)
    assert isinstance(s.engine, EventEngine)
    assert s.engine._clocks.draws.sum() < 1000 * s.state.events


@pytest.mark.parametrize("shape", [(16, 16), (12, 24)])
def test_yield_time_is_the_largest_barrier_of_extremal_dynamics(shape: tuple[int, int]) -> None:
    """T ln(time of n events) tends to the largest barrier that n events of extremal dynamics meet.

    While no site is unstable, the wait at T -> 0 is exp(E / T) times a number of order 1, E = (1 - max |sigma|)^1.5, and the
    sum of n waits is ruled by the largest E. Both are random: blocks of n = N events of one long run of each are compared,
    by the mean and its standard error; of order T is left out.
    """
    blocks, sites, temperature = 24, shape[0] * shape[1], 0.001
    extremal, thermal = simulation(shape, 0.0), simulation(shape, temperature, "run.seed=2")
    barriers, times = [], []
    for block in range(blocks):
        batches = extremal.engine.advance(extremal.state, (block + 1.0) * sites)
        largest = max(batch.stability.max() for batch in batches if batch.stability is not None)
        barriers.append(max(largest, 0.0) ** 1.5)
        time = perform(thermal, sites)
        times.append(temperature * np.log(time))
        thermal.engine.begin_origin(time)  # so that the time of the next block is not lost in that of this one
    samples = [np.array(values[4:]) for values in (barriers, times)]  # the first blocks are no stationary state
    mean, square = (np.array([f(sample) for sample in samples]) for f in (np.mean, lambda v: np.var(v, ddof=1) / len(v)))
    assert 0.1 < mean[0] < 0.35
    assert abs(mean[1] - mean[0]) < 4.0 * np.sqrt(square.sum()) + 2.0 * temperature


def test_windows_of_the_split_engine_keep_their_length_after_a_long_quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["engine.name=split", "engine.radius=2", "engine.strip=5", "engine.window=0.5", "run.seed=3"]
    params = parse("[model]\ntemperature = 0.002", ["lattice.size=[16, 24]", *overrides])
    s = Simulation(Domain((16, 24)), params)
    assert isinstance(s.engine, SplitEngine)
    windows: list[float] = []
    quiet: list[float] = []
    begin_at = SplitEngine._begin_at

    def noted(engine: SplitEngine, time: float) -> None:
        if engine._since > 1e20:  # one float is then 1e4 sweeps from the next
            (windows if math.isfinite(engine._end) else quiet).append(time)
        begin_at(engine, time)

    monkeypatch.setattr(SplitEngine, "_begin_at", noted)
    for _ in s.engine.advance(s.state, np.inf):
        if s.state.events >= 4 * s.domain.sites:
            break
    assert len(windows) > 50
    assert set(windows) == {0.5}
    assert np.mean(np.array(quiet) < 1000.0) > 0.2  # within avalanches


@pytest.mark.parametrize(
    ("overrides", "temperature", "message"),
    [
        (["engine.name=event"], 1e-7, "model.temperature = 1e-07, engine.name = 'event': must be at least 7.15e-07, or 0"),
        (["engine.name=event"], 1e-100, "must be at least"),
        (["engine.name=auto", "model.threshold=1e100"], 0.01, "must be at least"),
        (["engine.name=sweep", "model.initial_stress_std=0"], 0.001, "_std = 0: exp[(]988.9[)] sweeps before"),
        (["engine.name=split", "model.initial_stress_std=0.01"], 0.001, "must be at most exp[(]668[)]"),
    ],
)
def test_what_is_too_cold_is_refused(overrides: list[str], temperature: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as refused:
        parse(f"[model]\ntemperature = {temperature}", overrides)
    assert "\n" not in str(refused.value)


def test_lowest_temperature_is_that_of_the_finest_margin() -> None:
    for exponent in (0.6, 1.0, 1.5, 3.0):
        model = parameters((16, 16), 0.5, f"model.barrier_exponent={exponent}", "model.threshold=1.3").model
        coldest = model.model_copy(update={"temperature": model.lowest_temperature()})
        assert coldest.margin() == pytest.approx(1.3 * 2.0**-20)
        assert np.float32(1.3) + np.float32(coldest.margin()) > np.float32(1.3)


@pytest.mark.parametrize(("temperature", "kind"), [(0.0, "f4"), (0.0025, "f4"), (0.0024, "f8")])
def test_maps_hold_all_lags(temperature: float, kind: str) -> None:
    params = parameters((12, 16), temperature)
    persistence = next(o for o in Simulation(Domain((12, 16)), params).observers if isinstance(o, Persistence))
    (stored,) = (v.dtype for v in persistence.variables if v.name == "origins/first_event_time")
    assert stored == kind
    assert space.archive_bytes(params)["origins/first_event_time"] == params.run.origins * 12 * 16 * np.dtype(kind).itemsize
    assert np.array_equal(_as_type(np.array([1.0, 1e60, np.inf]), "f8"), [1.0, 1e60, np.inf])
    assert np.array_equal(np.isinf(_as_type(np.array([1.0, 1e60, np.inf]), "f4")), [False, False, True])
