"""Events of finite duration: the laws of single sites, exact thinning, and a short comparison with the reference."""

import math

import numpy as np
import pytest

from mpiepm.core import heartbeat
from mpiepm.engine.step import StepEngine
from mpiepm.grid.domain import Domain
from mpiepm.kernels import picard
from mpiepm.models import ferrero
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation


def parameters(*overrides: str) -> Parameters:
    text = "[model]\nname = 'ferrero'\n[lattice]\nsize = [64, 64]\n[run]\nequilibrate = { time = 1 }\nduration = 10"
    params = parse(text, overrides)
    assert isinstance(params, Parameters)
    return params


def series(params: Parameters) -> dict[str, np.ndarray]:
    """All series of a run, after equilibration."""
    simulation = Simulation(Domain(params.lattice.size), params)
    records: dict[str, list[float]] = {}
    while not simulation.finished:
        simulation.step(math.inf, lambda name, value: records.setdefault(name, []).append(value))  # type: ignore[arg-type]
    run = np.array(records["series/origin"]) == 0
    return {name.removeprefix("series/"): np.array(v)[run] for name, v in records.items() if name.startswith("series/")}


def switched(params: Parameters, stress: np.ndarray, active: np.ndarray, steps: int) -> np.ndarray:
    """The signs after one step each, from always the same state: int8 (steps, Lx, Ly)."""
    rules = params.model.rules(params.engine.resolution)
    words = np.zeros((stress.shape[1] + 7) // 8, np.uint64)
    row, column, sign = np.empty(stress.size, np.int64), np.empty(stress.size, np.int64), np.empty(stress.size)
    out = np.empty((steps, *stress.shape), np.int8)
    for step in range(steps):
        s, n = stress.copy(), active.copy()
        found, balance = ferrero.switch(
            0, step, 3, rules, np.zeros_like(s), s, n, np.zeros_like(s), words.view(np.uint8), words, 0, row, column, sign
        )
        new = (active == 0) & (n != 0)
        assert found == new.sum()
        assert balance == np.count_nonzero(n) - np.count_nonzero(active)
        assert np.array_equal(n[row[:found], column[:found]], sign[:found])
        out[step] = n
    return out


@pytest.mark.parametrize("temperature", [0.05, 0.2, 3.0])
@pytest.mark.parametrize("columns", [37, 64])
def test_every_site_is_activated_with_its_own_probability(temperature: float, columns: int) -> None:
    params = parameters(f"model.temperature={temperature}", "model.gamma0=2", "model.threshold=0.9")
    stress = np.linspace(-1.2, 1.2, 9)[:, None] * np.ones(columns)
    steps = 4000
    n = switched(params, stress, np.zeros(stress.shape, np.int8), steps)
    p = 0.2 * np.minimum(1.0, np.exp((stress[:, 0] ** 2 - 0.81) / (2 * temperature)))
    trials = steps * columns
    share = np.count_nonzero(n, axis=(0, 2)) / trials
    assert np.all(np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / trials) + 1e-9)
    assert np.all((n == 0) | (n == np.sign(stress)) | (stress == 0))
    up = np.count_nonzero(n[:, 4] == 1) / max(np.count_nonzero(n[:, 4]), 1)
    assert temperature < 0.1 or up == pytest.approx(0.5, abs=0.1)  # without stress either sign


def test_activation_does_not_depend_on_how_it_is_drawn() -> None:
    rules = parameters("model.temperature=0.1").model.rules(0.1)
    assert 0.0 < rules.limit < 1.0
    assert ferrero.activation(rules.limit, rules) == pytest.approx(rules.bound)
    assert ferrero.activation(0.0, rules) == pytest.approx(0.1 * math.exp(-5.0))
    assert ferrero.activation(1.5, rules) == pytest.approx(0.1)


def test_events_end_at_a_constant_rate() -> None:
    params = parameters("model.temperature=0.05", "model.restructuring_time=2.0")
    stress, active = np.zeros((8, 50)), np.where(np.arange(400).reshape(8, 50) % 3 == 0, -1, 1).astype(np.int8)
    n = switched(params, stress, active, 500)
    survived = np.mean(n == active)
    assert survived == pytest.approx(1 - 0.05, abs=4 * math.sqrt(0.05 / n.size))
    assert not np.any(n == -active)


def test_random_model_has_the_activity_asked_for() -> None:
    a, tau = 0.08, 1.5
    found = series(parameters(
        "model.activation=random", f"model.activity={a}", f"model.restructuring_time={tau}", "run.equilibrate.time=20",
        "run.duration=600",
    ))  # fmt: skip
    error = 3 * math.sqrt(2 * tau * a * (1 - a) ** 2 / (600 * 64 * 64))
    assert found["activity"].mean() == pytest.approx(a, abs=error)
    assert found["yield_rate"].mean() == pytest.approx(a / tau, abs=3 * math.sqrt(a / tau / (600 * 64 * 64)))
    assert np.abs(found["mean_stress"]).max() < 1e-5


def test_random_model_moves_tracers_at_the_mean_square_velocity() -> None:
    """<v^2> = lambda^2 a sum |U|^2 at the nodes."""
    a, ugain = 0.05, 1.4
    params = parameters("model.activation=random", f"model.activity={a}", "tracers.number=4096", "tracers.placement=sites",
                        f"model.ugain={ugain}")  # fmt: skip
    simulation = Simulation(Domain((64, 64)), params)
    engine, state = simulation.engine, simulation.state
    assert isinstance(engine, StepEngine)
    assert engine.tracers is not None
    for _ in engine.advance(state, 20.0):
        pass
    _, ux, uy = picard.real_space((64, 64))
    squares = []
    for _ in range(40):  # one step each, from the nodes
        engine.begin_origin(state.time)
        engine.tracers.placed = False
        engine.tracers.place()
        before = engine.tracers.position.copy()
        for _ in engine.advance(state, engine.time_step):
            pass
        squares.append(np.mean(np.sum((engine.tracers.position - before) ** 2, axis=1)) / engine.time_step**2)
        engine.tracers.placed = False
        engine.begin_origin(state.time)
        for _ in engine.advance(state, 1.0):
            pass
    expected = (0.5 * ugain) ** 2 * a * np.sum(ux**2 + uy**2)
    assert np.mean(squares) == pytest.approx(expected, rel=0.03)


def test_without_activity_nothing_moves() -> None:
    params = parameters("model.activation=random", "model.activity=1e-12", "tracers.number=5")
    simulation = Simulation(Domain((64, 64)), params)
    for _ in simulation.engine.advance(simulation.state, 50.0):
        pass
    assert not simulation.state.stress.any()


@pytest.mark.parametrize(("preset", "local"), [("literal", -0.570409531), ("unit-response", -1.0)])
def test_local_response_of_the_presets(preset: str, local: float) -> None:
    params = parameters("model.temperature=0.1", f"model.preset={preset}", "engine.precision=double")
    simulation = Simulation(Domain((64, 64)), params)
    engine, state = simulation.engine, simulation.state
    assert isinstance(engine, StepEngine)
    assert engine.local_response == pytest.approx(-0.570409531, abs=1e-9)
    assert state.active is not None
    state.active[5, 7] = 1
    engine._active = 1
    for _ in engine.advance(state, 0.1):
        pass
    assert state.stress[5, 7] == pytest.approx(0.1 * local, abs=1e-9)


def test_a_run_in_which_nothing_happens_gets_on() -> None:
    """With stops that are closer together than the empty batches of the engine."""
    params = parameters("model.temperature=0.02", "lattice.size=[16, 16]", "output.interval=1", "run.equilibrate.time=10")
    simulation = Simulation(Domain((16, 16)), params)
    before = 0.0
    while not simulation.finished:
        count = heartbeat.own.count
        simulation.step(math.inf, lambda name, value: None)
        assert heartbeat.own.count > count
        assert heartbeat.own.time > before
        before = heartbeat.own.time
    assert simulation.state.events == 0


def test_short_run_agrees_with_the_reference() -> None:
    """T = 0.2, L = 64: activity 0.12605 +- 0.0002, stress variance 0.2026 +- 0.0005; 3 % or 3 standard errors."""
    runs = [series(parameters("model.temperature=0.2", "run.equilibrate.time=50", "run.duration=300", f"run.seed={seed}"))
            for seed in (1, 2, 3)]  # fmt: skip
    found = {name: float(np.mean([r[name].mean() for r in runs])) for name in runs[0]}
    assert found["activity"] == pytest.approx(0.12605, rel=0.02)
    assert found["yield_rate"] == pytest.approx(found["activity"], rel=0.01)
    assert found["stress_variance"] == pytest.approx(0.2026, rel=0.02)
    assert found["stress_kurtosis"] == pytest.approx(6.8, rel=0.06)
