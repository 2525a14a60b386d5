"""Long validations (pytest -m statistics) of the model "ferrero", L = 64: the reference, and an exact diffusion coefficient.

Reference: a serial prototype with the literal parameters; mean and standard error over its seeds. Ours must agree within 3 % or
3 combined standard errors, whichever is more.
"""

import math

import numpy as np
import pytest

from mpiepm.grid.domain import Domain
from mpiepm.kernels import picard
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

pytestmark = [pytest.mark.statistics, pytest.mark.timeout(3600)]

SHAPE = (64, 64)
# T, warm-up, run; activity, stress variance, each with its standard error; kurtosis
REFERENCE = [
    (0.2, 50, 200, 0.12605, 2e-4, 0.2026, 5e-4, 6.8),
    (0.1, 400, 1500, 0.014347, 4e-5, 0.08292, 2e-4, 8.5),
    (0.07, 3000, 8000, 0.0018647, 8e-6, 0.05189, 1.3e-4, 5.4),
]
# model; warm-up, run; lag: D(lag) and its standard error
DIFFUSION = [
    ("thermal", ["model.temperature=0.1"], 350, 1000,
     {0.5: (0.000448, 4e-6), 1: (0.000765, 6e-6), 2: (0.001154, 9e-6), 10: (0.001314, 2e-5), 40: (0.000863, 2e-5),
      100: (0.000662, 2e-5)}),
    ("random", ["model.activation=random", "model.activity=0.014347"], 350, 1000,
     {0.5: (0.000451, 5e-6), 1: (0.000776, 4e-6), 2: (0.00119, 6e-6), 10: (0.00184, 1e-5), 40: (0.002, 6e-5)}),
]  # fmt: skip


def records(overrides: list[str], warm_up: float, duration: float, seed: int) -> dict[str, np.ndarray]:
    """Everything recorded in a run, but the series only after equilibration."""
    text = f"[model]\nname = 'ferrero'\n[run]\nseed = {seed}\nequilibrate = {{ time = {warm_up} }}\nduration = {duration}"
    simulation = Simulation(Domain(SHAPE), parse(text, [f"lattice.size={list(SHAPE)}", *overrides]))
    found: dict[str, list[np.ndarray]] = {}
    while not simulation.finished:
        simulation.step(math.inf, lambda name, value: found.setdefault(name, []).append(np.asarray(value)))
    everything = {name: np.array(values) for name, values in found.items()}
    run = everything["series/origin"] == 0
    return {name: values[run] if name.startswith("series/") else values for name, values in everything.items()}


def agrees(values: list[float], expected: float, error: float) -> str:
    """A line of report; fails if the mean of `values` does not agree with what is expected."""
    mean, own = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
    tolerance = max(0.03 * abs(expected), 3 * math.hypot(own, error))
    line = f"{mean:.6g} +- {own:.2g}, reference {expected:.6g} +- {error:.2g} ({100 * (mean / expected - 1):+.1f} %)"
    assert abs(mean - expected) < tolerance, line
    return line


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"T={row[0]}")
def test_stationary_state(row: tuple[float, ...]) -> None:
    temperature, warm_up, duration, activity, activity_error, variance, variance_error, kurtosis = row
    runs = [records([f"model.temperature={temperature}"], warm_up, duration, seed) for seed in (1, 2, 3, 4)]
    means = {name: [float(r[f"series/{name}"].mean()) for r in runs]
             for name in ("activity", "yield_rate", "stress_variance", "stress_kurtosis")}  # fmt: skip
    print(f"\nT = {temperature}: activity {agrees(means['activity'], activity, activity_error)}")
    print(f"stress variance {agrees(means['stress_variance'], variance, variance_error)}")
    print(f"kurtosis {np.mean(means['stress_kurtosis']):.3g}, reference {kurtosis}")
    assert np.mean(means["yield_rate"]) == pytest.approx(np.mean(means["activity"]), rel=0.01)
    assert np.mean(means["stress_kurtosis"]) == pytest.approx(kurtosis, rel=0.1)


def diffusion(position: np.ndarray, frames: int) -> float:
    """<dr^2> / 4 over so many frames, over tracers and about 300 origins."""
    origins = np.linspace(0, len(position) - 1 - frames, 300).astype(int)
    return float(np.mean([np.sum((position[k + frames] - position[k]) ** 2, axis=1).mean() for k in origins])) / 4


@pytest.mark.parametrize(("name", "overrides", "warm_up", "duration", "expected"), DIFFUSION, ids=lambda v: str(v)[:8])
def test_diffusion(
    name: str, overrides: list[str], warm_up: float, duration: float, expected: dict[float, tuple[float, float]]
) -> None:
    given = [*overrides, "tracers.number=1024", "tracers.interval=0.5"]
    runs = [records(given, warm_up, duration, seed)["tracers/position"] for seed in (1, 2, 3)]
    for lag, (value, error) in expected.items():
        found = [diffusion(position, round(2 * lag)) / lag for position in runs]
        print(f"\n{name}, D({lag:g}) = {agrees(found, value, error)}")


def test_diffusion_of_the_random_model_is_exact() -> None:
    """D(t) = (<v^2> / 2)(1 - (1 - e^-t) / t), <v^2> = lambda^2 a sum|U|^2.

    At the nodes, that is for small displacements: between them bilinear velocities are smaller (5 % at 0.1 sites).
    """
    a = 0.01
    given = ["model.activation=random", f"model.activity={a}", "engine.time_step=0.02", "model.ugain=0.004"]
    given += ["tracers.number=4096", "tracers.placement=sites", "tracers.interval=0.5"]
    runs = [records(given, 20, 200, seed)["tracers/position"] for seed in (1, 2, 3)]
    _, ux, uy = picard.real_space(SHAPE)
    square = (0.5 * 0.004) ** 2 * a * float(np.sum(ux**2 + uy**2))
    for lag in (0.5, 1.0, 2.0, 5.0):
        exact = square / 2 * (1 - (1 - math.exp(-lag)) / lag)
        found = [diffusion(position, round(2 * lag)) / lag for position in runs]
        print(f"\nD({lag:g}) = {agrees(found, exact, 0.0)}")
