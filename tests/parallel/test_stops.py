"""Engines may be left after any batch of events: nothing changes, and quiet times have batches too. 1-3 ranks."""

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.core import heartbeat
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3)
ENGINES = {
    "sweep": ["model.temperature=0.1"],
    "event": ["model.temperature=0.1", "engine.name=event"],
    "split": ["model.temperature=0.1", "engine.name=split", "engine.radius=4", "engine.strip=12"],
    "extremal": ["model.temperature=0", "engine.name=event", "engine.dynamics=extremal"],
    "step": ["model={name='ferrero', temperature=0.2}", "run={equilibrate={time=5}, duration=20}"],
}  # fmt: skip
UNTIL = {"extremal": 3000.0}


def at_end(name: str, comm: MPI.Intracomm, every: int) -> tuple[Simulation, int]:
    """A run to its time, left after each so many batches (0: never), and how often it was left."""
    params = parse("", ["lattice.size=[38, 50]", *ENGINES[name]])
    simulation = Simulation(slabs(params, comm), params)
    until, batches, left = simulation.engine.boundary(UNTIL.get(name, 12.0)), 0, 0
    if name in ("event", "extremal"):
        simulation.engine._batch = 50  # type: ignore[attr-defined]

    def over() -> bool:
        nonlocal batches
        batches += 1
        return every > 0 and batches % every == 0

    while not simulation.advance(until, over):
        assert simulation.state.time < until
        left += 1
    assert simulation.state.time == until
    return simulation, left


@pytest.mark.parametrize("name", ENGINES)
def test_left_after_any_batch(name: str) -> None:
    whole, _ = at_end(name, MPI.COMM_SELF, 0)
    cut, left = at_end(name, MPI.COMM_WORLD, 2)
    assert left > 5
    assert cut.state.events == whole.state.events > 200
    for field in ("stress", "plastic_strain"):
        assert np.array_equal(getattr(cut.state, field), getattr(whole.state, field)[cut.domain.rows])


@pytest.mark.parametrize(
    ("overrides", "until"),
    [
        (["model.temperature=0.003", "model.initial_stress_std=0", "lattice.size=[9, 14]"], 2e4),
        (["model={name='ferrero', temperature=0.003}", "run={equilibrate={time=5}, duration=20}", "lattice.size=[9, 14]"], 2e3),
    ],
)
def test_signs_of_life_where_nothing_happens(overrides: list[str], until: float) -> None:
    params = parse("", overrides)
    simulation = Simulation(slabs(params), params)
    before, asked = heartbeat.own.count, 0

    def over() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    assert not simulation.advance(simulation.engine.boundary(until), over)
    assert 0.0 < simulation.state.time < until
    assert heartbeat.own.count == before + 2
    assert simulation.advance(simulation.engine.boundary(until), over)
    assert simulation.state.events == 0
