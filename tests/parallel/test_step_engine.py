"""The step engine and its tracers on 1-4 ranks: the same events and the same trajectories, wherever one cuts and stops."""

import json

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.engine.layout import slabs
from mpiepm.engine.step import StepEngine
from mpiepm.grid.domain import Domain
from mpiepm.kernels import picard
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3, 4)
TEXT = """
[model]
name = "ferrero"
[run]
equilibrate = { time = 5 }
duration = 20
[tracers]
number = 200
"""
WARM, COLD, RANDOM = "model.temperature=0.2", "model.temperature=0.05", "model.activation=random"


def parameters(shape: tuple[int, int], *overrides: str) -> Parameters:
    params = parse(TEXT, [f"lattice.size={list(shape)}", *overrides])
    assert isinstance(params, Parameters)
    return params


def tracers_of(simulation: Simulation) -> np.ndarray:
    """All positions in the order of identity, on every rank."""
    assert isinstance(simulation.engine, StepEngine)
    assert simulation.engine.tracers is not None
    return np.concatenate(simulation.domain.collect(simulation.engine.tracers.by_identity()))


def history(simulation: Simulation, stops: list[float]) -> np.ndarray:
    """All events of all ranks (n, 4) from an origin on, ordered by time, row, column."""
    own: list[np.ndarray] = [np.empty((0, 4))]
    simulation.engine.begin_origin(simulation.state.time)
    for stop in stops:
        for e in simulation.engine.advance(simulation.state, simulation.engine.boundary(stop)):
            own.append(np.stack([e.row, e.column, e.time, e.drop], axis=1))
    everything = np.concatenate(simulation.domain.collect(np.concatenate(own)))
    return everything[np.lexsort((everything[:, 1], everything[:, 0], everything[:, 2]))]


CASES = [
    ((48, 48), [WARM]),
    ((33, 50), [WARM, "engine.precision=double", "model.mean_stress=-1"]),
    ((33, 50), [COLD, "model.preset=unit-response", "tracers.placement=sites", "model.laplacian_correction=true"]),
    ((50, 33), [RANDOM, "model.activity=0.1", "tracers.number=3"]),
    ((17, 21), [WARM, "model.ugain=300"]),  # tracers that jump over whole slabs
]


@pytest.mark.parametrize(("shape", "overrides"), CASES)
def test_identical_on_any_number_of_ranks(shape: tuple[int, int], overrides: list[str]) -> None:
    params = parameters(shape, *overrides)
    alone = Simulation(slabs(params, MPI.COMM_SELF), params)
    expected, started = history(alone, [30.0]), alone.state
    together = Simulation(slabs(params), params)
    assert history(together, [0.05, 3.0, 3.0, 17.3, 30.0]).tobytes() == expected.tobytes()
    assert together.state.events == len(expected) == started.events
    assert together.state.active_steps == started.active_steps
    rows = together.domain.rows
    for name in ("stress", "plastic_strain", "active"):
        assert getattr(together.state, name).tobytes() == getattr(started, name)[rows].tobytes()
    assert tracers_of(together).tobytes() == tracers_of(alone).tobytes()
    held = together.engine.tracers.position  # type: ignore[union-attr, attr-defined]
    assert np.all((np.floor(held[:, 0]) % shape[0] >= rows.start) & (np.floor(held[:, 0]) % shape[0] < rows.stop))


def test_checkpoints_change_nothing() -> None:
    params = parameters((24, 20), WARM)
    straight, resumed = (Simulation(slabs(params), params) for _ in range(2))
    history(straight, [10.0, 20.0])
    history(resumed, [10.0])
    parts = {name: part.save() for name, part in resumed.parts.items()}
    resumed = Simulation(slabs(params), params)
    for name, part in resumed.parts.items():
        scalars, fields = parts[name]
        part.restore(json.loads(json.dumps(scalars)), fields)
    for _ in resumed.engine.advance(resumed.state, 20.0):
        pass
    assert resumed.state.stress.tobytes() == straight.state.stress.tobytes()
    assert tracers_of(resumed).tobytes() == tracers_of(straight).tobytes()


def bilinear(field: np.ndarray, position: np.ndarray) -> np.ndarray:
    cell = np.floor(position).astype(int)
    fx, fy = (position - cell).T
    (i, j), (lx, ly) = cell.T, field.shape
    corner = [field[(i + a) % lx, (j + b) % ly] for a in (0, 1) for b in (0, 1)]
    result: np.ndarray = (1 - fx) * ((1 - fy) * corner[0] + fy * corner[1]) + fx * ((1 - fy) * corner[2] + fy * corner[3])
    return result


@pytest.mark.parametrize("corrected", [False, True])
def test_stress_and_tracers_against_direct_convolution(corrected: bool) -> None:
    shape, dt = (13, 10), 0.2
    params = parameters(
        shape, WARM, "engine.precision=double", f"engine.time_step={dt}",
        f"model.laplacian_correction={str(corrected).lower()}",
        "model.gfac=1.3", "model.ugain=2.5", "model.eps0=0.8", "model.mean_stress=-1",
    )  # fmt: skip
    simulation = Simulation(Domain(shape), params)
    domain = simulation.domain
    simulation.engine.begin_origin(0.0)
    g, *u = picard.real_space(shape, mean_stress=-1.0, laplacian_correction=corrected)
    stress, strain, position = np.zeros(shape), np.zeros(shape), tracers_of(simulation)

    def spread(kernel: np.ndarray, n: np.ndarray) -> np.ndarray:
        sources = np.argwhere(n)
        return sum((n[i, j] * np.roll(kernel, (i, j), (0, 1)) for i, j in sources), np.zeros(shape))

    for step in range(60):
        n = np.concatenate(domain.collect(simulation.state.active))
        stress += dt * 1.3 * 0.8 * spread(g, n)
        strain += dt * 0.5 * 0.8 * n
        position = position + dt * 2.5 * 0.4 * np.stack([bilinear(spread(c, n), position) for c in u], axis=1)
        for _ in simulation.engine.advance(simulation.state, dt * (step + 1)):
            pass
        before, after = n, np.concatenate(domain.collect(simulation.state.active))
        assert not np.any(before * after == -1), "a site switches at most once in a step"
    assert np.abs(n).sum() > 5
    assert np.abs(simulation.state.stress - stress[simulation.domain.rows]).max() < 1e-12
    assert np.abs(simulation.state.plastic_strain - strain[simulation.domain.rows]).max() < 1e-12
    assert np.abs(tracers_of(simulation) - position).max() < 1e-11
