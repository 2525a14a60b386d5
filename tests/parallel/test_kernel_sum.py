"""Stress is the initial one plus the exact kernels of all events: every engine, on any number of ranks, over strips too."""

import numpy as np
import pytest

from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.kernels.eshelby import exact_kernel
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3)

# The largest error of the stress at a site, per root of the sum of squared drops: errors of events are of random sign. Per unit
# drop and at the worst site a kernel is off by about twice what is off in g: with M = 4 harmonics by 2 * 4.1e-6, with the
# tables of the event engine by 1e-6, with m = 1 alone beyond a radius of R sites by 2 * 4.8e-5 (8 / R)^4.
CASES = {
    "sweep": ([], 2 * 4.1e-6),
    "event": ([], 1e-6),
    "split": (["engine.radius=8", "engine.strip=16", "engine.window=0.3"], 2 * 4.8e-5),
    "split, one flush": (["engine.radius=8", "engine.strip=16", "engine.far_tolerance=10"], 2 * 4.8e-5),
}


@pytest.mark.parametrize("case", CASES)
def test_stress_is_the_sum_of_the_exact_kernels(case: str) -> None:
    (overrides, tolerance), shape = CASES[case], (53, 40)
    name = case.split(",")[0]
    params = parse("model.temperature = 0.1", [f"lattice.size={list(shape)}", f"engine.name={name}", *overrides])
    simulation = Simulation(slabs(params), params)
    domain, state, engine = simulation.domain, simulation.state, simulation.engine
    expected, own = state.stress.copy(), [np.empty((0, 4))]
    for stop in (0.1, 0.3):
        for e in engine.advance(state, engine.boundary(stop)):
            own.append(np.stack([e.row, e.column, e.drop, e.angle], axis=1))
    if isinstance(engine, SplitEngine):
        engine.settle(state, state.time)
    events = np.concatenate(domain.collect(np.concatenate(own)))
    for row, column, drop, angle in events:
        expected += drop * np.roll(exact_kernel(shape, float(angle)), (int(row), int(column)), axis=(0, 1))[domain.rows]
    assert len(events) > 200
    assert np.abs(state.stress - expected).max() < tolerance * np.sqrt(np.sum(events[:, 2] ** 2))
