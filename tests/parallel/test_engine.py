"""The sweep engine on 1-4 ranks: the same events at the same sites, wherever the lattice is cut and the run stops."""

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.core.params import Parameters, parse
from mpiepm.grid.domain import Domain
from mpiepm.physics.state import Events
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3, 4)


def parameters(shape: tuple[int, int], *overrides: str) -> Parameters:
    return parse("[model]\ntemperature = 0.1", [f"lattice.size={list(shape)}", *overrides])


def event_list(simulation: Simulation, stops: list[float]) -> np.ndarray:
    """All events of all ranks (n, 5), ordered by row, then by time."""
    own: list[np.ndarray] = []
    for stop in stops:
        for e in simulation.engine.advance(simulation.state, simulation.engine.boundary(stop)):
            own.append(np.stack([e.row, e.column, e.time, e.drop, e.angle], axis=1))
    mine = np.concatenate(own) if own else np.empty((0, 5))
    everything = np.concatenate(simulation.domain.comm.allgather(mine))
    return everything[np.lexsort((everything[:, 2], everything[:, 0]))]


@pytest.mark.parametrize(
    ("shape", "sweeps", "overrides"),
    [
        ((96, 96), 1000.0, ["engine.window=0.5"]),
        ((96, 60), 1000.0, ["engine.window=0.5"]),
        ((33, 50), 100.0, ["engine.precision=single"]),
        ((33, 50), 100.0, ["model.kernel=conserving", "model.temperature=0.03"]),
        ((33, 50), 100.0, ["model.elasticity=false"]),
    ],
)
def test_identical_events_on_any_number_of_ranks(
    shape: tuple[int, int], sweeps: float, overrides: list[str]
) -> None:
    params = parameters(shape, *overrides)
    alone = Simulation(Domain(shape, MPI.COMM_SELF), params)
    expected = event_list(alone, [sweeps])
    assert len(expected) > shape[0] * shape[1] / 2
    together = Simulation(Domain(shape), params)
    assert event_list(together, [sweeps]).tobytes() == expected.tobytes()
    assert together.state.events == len(expected)
    assert together.state.stress.tobytes() == alone.state.stress[together.domain.rows].tobytes()


def test_stops_change_nothing() -> None:
    params = parameters((24, 20), "model.temperature=0.02")
    straight, halting = (Simulation(Domain((24, 20)), params) for _ in range(2))
    expected = event_list(straight, [300.0])
    stops = [0.1, 0.35, 0.35, 7.0, 7.05, 100.0, 299.95, 300.0]
    assert event_list(halting, stops).tobytes() == expected.tobytes()
    assert halting.state.time == straight.state.time == straight.engine.boundary(300.0)
    assert halting.state.stress.tobytes() == straight.state.stress.tobytes()


@pytest.mark.parametrize("window", [0.1, 0.3, 1 / 3, 0.7])
def test_boundaries_are_fixed_points(window: float) -> None:
    engine = Simulation(Domain((8, 8)), parameters((8, 8), f"engine.window={window!r}", "model.elasticity=false")).engine
    for time in [0.0, 1e-12, 0.1, 0.3, 1.0, 12.345, 1e6, 1e6 + 0.05]:
        boundary = engine.boundary(time)
        assert time <= boundary < time + window * (1 + 1e-9)
        assert engine.boundary(boundary) == boundary


def test_strain_is_the_sum_of_the_drops() -> None:
    simulation = Simulation(Domain((16, 12)), parameters((16, 12), "model.shear_modulus=2.0"))
    total = np.zeros(simulation.domain.local_shape)
    for e in simulation.engine.advance(simulation.state, 20.0):
        assert isinstance(e, Events)
        np.add.at(total, (e.row - simulation.domain.first_row, e.column), e.drop / 2.0)
    assert np.allclose(total, simulation.state.plastic_strain, atol=1e-12)


def test_conserving_kernel_keeps_the_mean_stress() -> None:
    simulation = Simulation(Domain((24, 20)), parameters((24, 20), "model.kernel=conserving"))
    before = simulation.domain.sum_power(simulation.state.stress)
    for _ in simulation.engine.advance(simulation.state, 50.0):
        pass
    assert simulation.domain.sum_power(simulation.state.stress) == pytest.approx(before, abs=1e-9)
