"""The event engine against brute force: the same events change the stress by the exact kernel, and the law is the same."""

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from mpiepm.core import vectorised
from mpiepm.engine import pending
from mpiepm.engine.event import EventEngine
from mpiepm.grid.domain import Domain
from mpiepm.kernels.eshelby import exact_kernel
from mpiepm.models.law import rate
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation


def simulation(shape: tuple[int, int], temperature: float, seed: int = 1, *overrides: str) -> Simulation:
    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = 'event'"
    return Simulation(Domain(shape), parse(text, [f"lattice.size={list(shape)}", f"run.seed={seed}", *overrides]))


def rates(stress: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(np.exp(-np.maximum(1.0 - np.abs(stress), 0.0) ** 1.5 / temperature))


def brute_force(stress: np.ndarray, temperature: float, events: int, rng: np.random.Generator) -> np.ndarray:
    """Plain rejection-free dynamics: every rate anew for every event, the exact kernel of its angle; changes `stress`.

    Returns the times (events,).
    """
    times, now = np.empty(events), 0.0
    for n in range(events):
        w = rates(stress, temperature)
        now += rng.exponential() / w.sum()
        site = rng.choice(stress.size, p=(w / w.sum()).ravel())
        i, j = np.unravel_index(site, stress.shape)
        s = stress[i, j]
        drop = math.copysign(1.0, s) * (rng.exponential() + abs(s) - 1.0)
        kernel = exact_kernel(stress.shape, rng.uniform(0.0, 0.5 * math.pi))
        stress += drop * np.roll(kernel, (i, j), axis=(0, 1))
        times[n] = now
    return times


def test_vectorised_exponential() -> None:
    x = np.concatenate([np.linspace(-700.0, 0.0, 20001), [-1e-300, -1e-9, -800.0, -np.inf]])
    values = np.array([vectorised.exp(v) for v in x])
    expected = np.exp(np.maximum(x, vectorised.LOWEST))
    assert np.abs(values / expected - 1.0).max() < vectorised.ACCURACY


@pytest.mark.parametrize(("shape", "kernel"), [((32, 48), "paper"), ((70, 20), "conserving")])
def test_stress_is_the_sum_of_the_exact_kernels(shape: tuple[int, int], kernel: str) -> None:
    s = simulation(shape, 0.05, 1, f"model.kernel={kernel}")
    expected, strength = s.state.stress.copy(), 0.0
    for batch in s.engine.advance(s.state, 0.3):
        for i, j, drop, angle in zip(batch.row, batch.column, batch.drop, batch.angle, strict=True):
            exact = exact_kernel(shape, float(angle), kernel)  # type: ignore[arg-type]
            expected += drop * np.roll(exact, (i, j), axis=(0, 1))
            strength += abs(drop)
    assert s.state.events > 100
    assert np.abs(s.state.stress - expected).max() < 1e-6 * strength
    assert np.abs(s.state.stress - expected).max() < 2e-5  # the errors do not add up


@pytest.mark.parametrize("overrides", [[], ["model.barrier_exponent=1.2", "model.stiffness=2.0"], ["model.elasticity=false"]])
def test_no_rate_is_ever_above_its_bound(overrides: list[str]) -> None:
    s = simulation((40, 70), 0.03, 1, *overrides)
    engine, p, deepest = s.engine, s.params.model, 1.0
    assert isinstance(engine, EventEngine)
    for stop in np.concatenate([np.arange(1, 400) * 0.01, np.geomspace(4.0, 4000.0, 200)]):
        for _ in engine.advance(s.state, float(stop)):
            pass
        for stress, bound in zip(s.state.stress.ravel(), engine._clocks.bound.ravel(), strict=True):
            assert rate(p.law(), stress) <= bound
        totals = engine._clocks.bound.sum(axis=1, dtype=float)
        assert np.allclose(engine._clocks.total, totals, rtol=1e-12)
        deepest = min(deepest, engine._clocks.bound.min())
    assert deepest < 1e-3
    assert s.state.events > s.domain.sites  # so that `deep` has been set


@pytest.mark.parametrize(("temperature", "highest", "replicas"), [(0.05, 0.95, 400), (0.0008, 0.7, 150)])
def test_same_law_as_brute_force(temperature: float, highest: float, replicas: int) -> None:
    shape, events = (10, 12), 40
    start = np.random.default_rng(5).uniform(-highest, highest, shape)
    times, variance, peak = (np.empty((2, replicas, *size)) for size in [(events,), (), ()])
    for n in range(replicas):
        by_force = start.copy()
        times[0, n] = brute_force(by_force, temperature, events, np.random.default_rng(n))
        s = simulation(shape, temperature, n)
        s.state.stress[:] = start
        engine = EventEngine(s.domain, s.params, s.state)
        assert engine._perform(s.state, math.inf, events) == events
        times[1, n] = engine._events[:events, 0]
        pending.catch_up_all(engine._response, engine._slab(s.state))
        for k, stress in enumerate((by_force, s.state.stress)):
            variance[k, n], peak[k, n] = stress.var(), np.abs(stress).max()
    for k in (0, 1, 4, 19, 39):
        assert ks_2samp(times[0, :, k], times[1, :, k]).pvalue > 1e-3
    for sample in (variance, peak):
        assert ks_2samp(sample[0], sample[1]).pvalue > 1e-3


def test_pending_event_survives_stops_at_any_time() -> None:
    straight, halting = simulation((16, 16), 0.01), simulation((16, 16), 0.01)
    for _ in straight.engine.advance(straight.state, 1e5):
        pass
    for stop in np.geomspace(1e-3, 1e5, 3000):
        for _ in halting.engine.advance(halting.state, float(stop)):
            pass
    assert halting.state.events == straight.state.events > 50
    assert halting.state.stress.tobytes() == straight.state.stress.tobytes()


def test_late_times_keep_their_resolution() -> None:
    s = simulation((32, 32), 0.004)
    times: list[float] = []
    until = 1.0
    while s.state.events < 3000:
        for batch in s.engine.advance(s.state, until):
            times += list(batch.time)
        until *= 10.0
    assert until > 1e11
    waits = np.diff(times)
    assert np.all(waits >= 0.0)
    assert np.median(waits) < 10.0  # most events are in avalanches, which last some sweeps


def test_extremal_dynamics_fires_the_largest_stress_and_unstable_sites_evenly() -> None:
    overrides = ["engine.dynamics=extremal"]
    s = simulation((12, 14), 0.0, 1, *overrides)
    quiet, ranks = 0, []
    for n in range(600):
        before = s.state.stress.copy()
        (batch,) = s.engine.advance(s.state, n + 1.0)
        assert batch.time[0] == n + 1.0
        fired = abs(before[batch.row[0], batch.column[0]])
        unstable = np.flatnonzero(np.abs(before).ravel() >= 1.0)
        if unstable.size == 0:
            quiet += 1
            assert fired == np.abs(before).max()
        else:
            assert fired >= 1.0
            ranks.append((np.searchsorted(unstable, batch.row[0] * 14 + batch.column[0]) + 0.5) / unstable.size)
    assert quiet > 20
    assert len(ranks) > 100
    assert abs(np.mean(ranks) - 0.5) < 4 * 0.29 / math.sqrt(len(ranks))
    assert s.state.events == 600
