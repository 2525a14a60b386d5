"""Without elasticity the engine is exact for any window: closed forms, within statistics."""

import numpy as np
import pytest

from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation
from mpiepm.theory import noninteracting

TEMPERATURE = 0.3


@pytest.mark.parametrize("window", [0.1, 2.0])
def test_yield_rate_persistence_and_stress_density(window: float) -> None:
    shape = (300, 170)
    params = parse(
        f"[model]\ntemperature = {TEMPERATURE}\nelasticity = false",
        [f"lattice.size={list(shape)}", f"engine.window={window}", "run.equilibrate.time=400", "run.origins=1",
         "run.origin_duration=200", "output.lags.per_decade=4"],
    )  # fmt: skip
    simulation = Simulation(Domain(shape), params)
    records: dict[str, list[np.ndarray]] = {}
    while not simulation.finished:
        simulation.step(np.inf if simulation.phases.origin else 1e9, lambda n, v: records.setdefault(n, []).append(v))
    sites = shape[0] * shape[1]
    # yield rate: events of a renewal process over a time long against its correlation have sub-Poisson noise
    duration, events = records["origins/duration"][0], records["origins/events"][0]
    expected = duration * sites / noninteracting.inverse_yield_rate(TEMPERATURE)
    assert abs(events - expected) < 4 * np.sqrt(2 * expected)
    # persistence: a binomial at every lag
    lags = simulation.persistence.constants()["persistence/lag"]
    p = noninteracting.persistence(lags, TEMPERATURE)
    error = np.sqrt(p * (1 - p) / sites)
    deviation = (records["persistence/value"][0] - p) / error
    assert np.abs(deviation).max() < 4.5
    # stress density, one sample
    counts, edges = np.histogram(simulation.state.stress, bins=20, range=(-1.5, 1.5))
    centre = 0.5 * (edges[1:] + edges[:-1])
    fine = np.array([[noninteracting.stress_density(c + o, TEMPERATURE) for o in np.linspace(-0.07, 0.07, 15)] for c in centre])
    share = fine.mean(axis=1) * np.diff(edges)
    assert np.abs((counts - sites * share) / np.sqrt(sites * share)).max() < 5
