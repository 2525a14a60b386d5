"""The engines on 1-4 ranks: the same events at the same sites, wherever the lattice is cut and the run stops."""

import json

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.core.faults import RunError
from mpiepm.engine.layout import slabs
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters, parse
from mpiepm.models.state import Events
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
    everything = np.concatenate(simulation.domain.collect(mine))
    return everything[np.lexsort((everything[:, 2], everything[:, 0]))]


@pytest.mark.parametrize(
    ("shape", "sweeps", "overrides"),
    [
        ((96, 96), 200.0, ["engine.window=0.5"]),
        ((96, 60), 200.0, ["engine.window=0.5"]),
        ((33, 50), 100.0, ["engine.precision=single"]),
        ((33, 50), 100.0, ["model.kernel=conserving", "model.temperature=0.03"]),
        ((33, 50), 100.0, ["model.elasticity=false"]),
        ((48, 48), 60.0, ["engine.name=event"]),
        ((33, 50), 100.0, ["engine.name=event", "model.kernel=conserving"]),
        ((33, 70), 1e6, ["engine.name=event", "model.temperature=0.013"]),
        ((33, 50), 100.0, ["engine.name=event", "model.elasticity=false"]),
        ((33, 70), 4000.0, ["engine.name=event", "engine.dynamics=extremal", "model.temperature=0"]),
        ((96, 50), 60.0, ["engine.name=split", "engine.radius=8", "engine.strip=16", "model.temperature=0.06"]),
        ((70, 33), 60.0, ["engine.name=split", "engine.radius=8", "engine.strip=17", "engine.window=0.3"]),
        ((70, 33), 60.0, ["engine.name=split", "engine.radius=8", "engine.strip=16", "model.elasticity=false"]),
        ((24, 40), 100.0, ["engine.name=event", "model.barrier_exponent=2", "model.stiffness=0.7", "model.threshold=1.2"]),
    ],
)
def test_identical_events_on_any_number_of_ranks(
    shape: tuple[int, int], sweeps: float, overrides: list[str]
) -> None:
    params = parameters(shape, *overrides)
    alone = Simulation(slabs(params, MPI.COMM_SELF), params)
    expected = event_list(alone, [sweeps])
    assert len(expected) > shape[0] * shape[1] / 2
    together = Simulation(slabs(params), params)
    assert event_list(together, [sweeps]).tobytes() == expected.tobytes()
    assert together.state.events == len(expected)
    assert together.state.stress.tobytes() == alone.state.stress[together.domain.rows].tobytes()


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.temperature=0.02"],
        ["model.temperature=0.02", "engine.name=event"],
        ["model.temperature=0", "engine.name=event", "engine.dynamics=extremal"],
        ["model.temperature=0.05", "engine.name=split", "engine.radius=3", "engine.strip=6"],
    ],
)
def test_stops_change_nothing(overrides: list[str]) -> None:
    params = parameters((24, 20), *overrides)
    straight, halting = (Simulation(slabs(params), params) for _ in range(2))
    expected = event_list(straight, [300.0])
    stops = [0.1, 0.35, 0.35, 7.0, 7.05, 100.0, 299.95, 300.0]
    assert event_list(halting, stops).tobytes() == expected.tobytes()
    assert halting.state.time == straight.state.time == straight.engine.boundary(300.0)
    assert halting.state.stress.tobytes() == straight.state.stress.tobytes()


@pytest.mark.parametrize(
    "overrides",
    [
        ["engine.name=event", "model.temperature=0.02"],
        ["engine.name=split", "model.temperature=0.04", "engine.radius=3", "engine.strip=6", "engine.window=7"],
    ],
)
def test_origins_and_checkpoints_change_nothing(overrides: list[str]) -> None:
    params = parameters((24, 20), *overrides)
    straight, resumed = (Simulation(slabs(params), params) for _ in range(2))
    expected = event_list(straight, [50.0, 400.0])
    event_list(resumed, [50.0])
    parts = {name: part.save() for name, part in resumed.parts.items()}
    resumed = Simulation(slabs(params), params)
    for name, part in resumed.parts.items():
        scalars, fields = parts[name]
        part.restore(json.loads(json.dumps(scalars)), fields)
    resumed.engine.begin_origin(50.0)
    resumed.state.begin_origin()
    rest = event_list(resumed, [350.0])
    late = expected[expected[:, 2] > 50.0]
    assert len(late) > 20
    assert np.array_equal(late[:, [0, 1, 3, 4]], rest[:, [0, 1, 3, 4]])
    assert np.allclose(late[:, 2] - 50.0, rest[:, 2], rtol=0.0, atol=1e-9)
    assert np.allclose(resumed.state.stress, straight.state.stress, rtol=0.0, atol=1e-12)


def test_events_of_an_open_window_are_saved() -> None:
    params = parameters((24, 20), "engine.name=split", "engine.radius=3", "engine.strip=6", "engine.window=7")
    simulation = Simulation(slabs(params), params)
    event_list(simulation, [3.0, 5.0])
    scalars, fields = simulation.engine.save()
    assert len(simulation.domain.gather(fields["crossing"])) > 20
    resumed = Simulation(slabs(params), params)
    resumed.engine.restore(scalars, fields)
    found, rows = resumed.engine.save()
    assert found == scalars
    assert all(np.array_equal(rows[name], field) for name, field in fields.items())


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


@pytest.mark.parametrize(
    "overrides",
    [
        ["engine.window=0.5"],
        ["engine.name=event"],
        ["engine.name=event", "engine.dynamics=extremal", "model.temperature=0"],
        ["engine.name=split", "engine.radius=5", "engine.strip=11", "engine.window=0.7"],
    ],
)
def test_changes_of_the_state_are_the_same_on_any_number_of_ranks(overrides: list[str]) -> None:
    params = parameters((46, 35), *overrides)
    runs = [Simulation(slabs(params, MPI.COMM_SELF), params), Simulation(slabs(params), params)]
    events: list[list[np.ndarray]] = [[], []]
    for run, found in zip(runs, events, strict=True):
        for k in range(1, 12):
            found.append(event_list(run, [1.3 * k]))
            run.change(lambda state: state.stress.__iadd__(0.05))  # type: ignore[misc]
    alone, together = runs
    assert [e.tobytes() for e in events[0]] == [e.tobytes() for e in events[1]]
    assert together.state.events == alone.state.events > 10
    assert together.state.stress.tobytes() == alone.state.stress[together.domain.rows].tobytes()


@pytest.mark.parametrize("overrides", [["engine.name=event"], ["engine.name=split", "engine.radius=5", "engine.strip=11"]])
def test_a_change_by_other_means_on_one_rank_is_noticed_on_all(overrides: list[str]) -> None:
    params = parameters((46, 35), *overrides)
    run = Simulation(slabs(params), params)
    event_list(run, [1.0])
    if run.domain.rank == run.domain.size - 1:
        run.state.stress[1, 2] += 1e-9
    with pytest.raises(RunError, match="changed without the engine being told"):
        event_list(run, [2.0])
