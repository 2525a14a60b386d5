"""Cost of an event of the split engine, and where it goes.

    python benchmarks/split_engine.py [--lengths 512 1024 2048 4096] [--temperature 0.02] [--events 3e5]
    mpirun -n 2 python benchmarks/split_engine.py --lengths 2048

Per event, in us, the slowest rank counts: all; near field and rates (`strips.run`); far field with the new bounds that it
makes necessary; the rest is what windows cost (kicks across edges, the look for the next window, Python). The state: a small
lattice in its stationary state, repeated over the large one, and some events on top. Also the memory of all ranks per site.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from mpiepm.engine import strips, thinning
from mpiepm.engine.farfield import FarField
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.models.parameters import parse
from mpiepm.models.state import State

SMALL = 64
COMM = MPI.COMM_WORLD


def small_state(temperature: float, events_per_site: int) -> np.ndarray:
    """A stationary stress field of SMALL x SMALL sites, by the event engine."""
    from mpiepm.simulation import Simulation

    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = 'event'"
    params = parse(text, [f"lattice.size=[{SMALL}, {SMALL}]"])
    simulation = Simulation(slabs(params, MPI.COMM_SELF), params)
    until = 1.0
    while simulation.state.events < events_per_site * SMALL**2:
        simulation.advance(until)
        until *= 1.2
    return simulation.state.stress


def timed(owner: Any, name: str, spent: dict[str, float], key: str) -> None:
    """Let owner.name add the seconds it takes to spent[key]."""
    function: Callable[..., Any] = getattr(owner, name)

    def measured(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments)
        spent[key] += time.perf_counter() - start
        return result

    setattr(owner, name, measured)


def main() -> None:
    """Print one line for each lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--temperature", type=float, default=0.02)
    parser.add_argument("--events", type=float, default=3e5)
    parser.add_argument("--set", nargs="*", default=[], help="engine parameters: radius=24 ...")
    a = parser.parse_args()
    small = small_state(a.temperature, 12)
    spent = {"near": 0.0, "far": 0.0}
    timed(strips, "run", spent, "near")
    timed(FarField, "flush", spent, "far")
    timed(thinning, "scan", spent, "far")
    for length in a.lengths:
        text = f"[model]\ntemperature = {a.temperature}\n[engine]\nname = 'split'"
        params = parse(text, [f"lattice.size=[{length}, {length}]", *(f"engine.{o}" for o in a.set)])
        domain = slabs(params)
        stress = np.tile(small, (1, length // SMALL))[np.arange(domain.rows.start, domain.rows.stop) % SMALL]
        state = State(stress, np.zeros_like(stress))
        engine = SplitEngine(domain, params, state)

        def perform(events: float, engine: SplitEngine = engine, state: State = state) -> int:
            before = state.events
            for _ in engine.advance(state, np.inf):
                if state.events - before >= events:
                    break
            return state.events - before

        perform(a.events / 2)
        spent.update(near=0.0, far=0.0)
        COMM.Barrier()
        start = time.perf_counter()
        events = perform(a.events)
        total = COMM.allreduce(time.perf_counter() - start, MPI.MAX)
        near, far = (COMM.allreduce(spent[key], MPI.MAX) for key in ("near", "far"))
        memory = COMM.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024 / length**2
        if COMM.rank == 0:
            each = [1e6 * seconds / events for seconds in (total, near, far)]
            print(
                f"L = {length}, T = {a.temperature:g}, {COMM.size} ranks: {each[0]:.2f} us per event, near {each[1]:.2f}, "
                f"far {each[2]:.2f}; {memory:.0f} bytes per site",
                flush=True,
            )


if __name__ == "__main__":
    main()
