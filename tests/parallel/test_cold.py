"""Very low temperatures: few candidates per event, the same events on any number of ranks and after a restart."""

import json

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.core.faults import RunError
from mpiepm.engine import pending
from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3)

ENGINES = {"event": ["engine.name=event"], "split": ["engine.name=split", "engine.radius=2", "engine.strip=5"]}

def parameters(engine: str, shape: tuple[int, int], temperature: float) -> Parameters:
    return parse(f"[model]\ntemperature = {temperature}", [f"lattice.size={list(shape)}", *ENGINES[engine]])


def perform(simulation: Simulation, events: int) -> np.ndarray:
    """Events of all ranks (n, 5), ordered by row, then by time: so many, and the rest of a batch.

    By number, not up to a time: millions of events may happen before the next barrier as high as the highest so far.
    """
    own, state, engine = [], simulation.state, simulation.engine
    until = state.events + events
    for e in engine.advance(state, np.inf):
        own.append(np.stack([e.row, e.column, e.time, e.drop, e.angle], axis=1))
        if state.events >= until:
            break
    if isinstance(engine, EventEngine):
        pending.catch_up_all(engine._response, engine._slab(state))
    everything = np.concatenate(simulation.domain.collect(np.concatenate(own)))
    return everything[np.lexsort((everything[:, 2], everything[:, 0]))]


def candidates(simulation: Simulation) -> int:
    assert isinstance(simulation.engine, EventEngine | SplitEngine)
    return int(simulation.domain.sum_counts(int(simulation.engine._clocks.draws.sum())))


def whole(simulation: Simulation) -> dict[str, tuple[dict[str, object], dict[str, np.ndarray]]]:
    """What a checkpoint holds of state and engine, for the whole lattice."""
    saved = {}
    for name in ("state", "engine"):
        scalars, fields = simulation.parts[name].save()
        gathered = {key: np.concatenate(simulation.domain.collect(field)) for key, field in fields.items()}
        saved[name] = json.loads(json.dumps(scalars)), gathered
    return saved


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(16, 16), (16, 24)])
def test_few_candidates_and_the_same_events_on_any_number_of_ranks_and_resumed(engine: str, shape: tuple[int, int]) -> None:
    params = parameters(engine, shape, 0.0005)
    together = Simulation(slabs(params), params)
    alone = Simulation(slabs(params, MPI.COMM_SELF), params)
    first = perform(alone, 800)
    assert perform(together, 800).tobytes() == first.tobytes()
    assert first[:, 2].max() > 1e30  # so that there were quiet times
    assert together.state.events == alone.state.events
    assert candidates(together) == candidates(alone) < 20 * alone.state.events

    resumed = Simulation(slabs(params, MPI.COMM_SELF), params)  # from what the ranks together have saved
    for name, (scalars, fields) in whole(together).items():
        resumed.parts[name].restore(scalars, fields)
    expected = perform(alone, 300)
    assert perform(resumed, 300).tobytes() == expected.tobytes() == perform(together, 300).tobytes()
    assert resumed.state.stress.tobytes() == alone.state.stress.tobytes()
    assert candidates(resumed) == candidates(alone)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wait_that_cannot_be_counted_ends_the_run_on_all_ranks(engine: str) -> None:
    params = parameters(engine, (16, 24), 0.0005)
    simulation = Simulation(slabs(params), params)
    simulation.state.stress[:] = 0.4  # barrier 0.46: exp(930) sweeps
    frozen = type(simulation.engine)(simulation.domain, params, simulation.state)  # type: ignore[call-arg]
    for _ in frozen.advance(simulation.state, 1e200):
        pass
    assert simulation.state.events == 0
    with pytest.raises(RunError, match=r"model\.temperature is too low"):
        for _ in frozen.advance(simulation.state, np.inf):
            pass
    assert candidates(simulation) == 0
