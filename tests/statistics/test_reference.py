"""Long validations (pytest -m statistics): the sweep engine against the exact dynamics."""

import numpy as np
import pytest

from mpiepm.analysis import estimators
from mpiepm.core.params import parse
from mpiepm.grid.domain import Domain
from mpiepm.simulation import Simulation

pytestmark = [pytest.mark.statistics, pytest.mark.timeout(3600)]

# Exact event-driven dynamics at L = 64: T, tau_alpha, its error, 1 / Gamma, its error.
REFERENCE = [(0.1, 7.3691, 0.055, 7.85, 0.118), (0.04, 71.581, 1.2, 58.194, 0.873)]


@pytest.mark.parametrize(("temperature", "tau", "tau_error", "inverse_rate", "rate_error"), REFERENCE)
def test_relaxation_time_and_yield_rate(
    temperature: float, tau: float, tau_error: float, inverse_rate: float, rate_error: float
) -> None:
    records: dict[str, list[np.ndarray]] = {}
    longest = 0
    for seed in (1, 2):
        params = parse(
            f"[model]\ntemperature = {temperature}",
            ["lattice.size=[64, 64]", "run.origins=150", "engine.window=0.1", f"run.seed={seed}"],
        )
        simulation = Simulation(Domain((64, 64)), params)
        while not simulation.finished:
            simulation.step(np.inf, lambda n, v: records.setdefault(n, []).append(v))
        longest = max(longest, simulation.persistence.longest)
    lags = np.array([simulation.persistence.schedule.value(k) for k in range(longest)])
    p = np.array([np.pad(v, (0, longest - len(v))) for v in records["persistence/value"]])
    measured = estimators.jackknife(lambda units: estimators.relaxation_time(lags, p[units]), len(p))
    assert abs(measured.value - tau) < 3 * np.hypot(measured.error, tau_error)
    duration, events = np.array(records["origins/duration"]), np.array(records["origins/events"])
    rate = estimators.jackknife(lambda units: float(duration[units].sum() * 4096 / events[units].sum()), len(p))
    assert abs(rate.value - inverse_rate) < 3 * np.hypot(rate.error, rate_error)
