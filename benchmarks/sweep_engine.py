"""Cost of one window of the sweep engine in which 10 % of the sites fire, beside the transforms it needs.

    mpirun -n 2 python benchmarks/sweep_engine.py [--length 2048] [--harmonics 4] [--repeats 7]

In one run, in turn: whole windows; the bare transforms of a window, (2M + 1) forward and 1 backward, counted as M + 1
pairs; the local pass (rates, draws, own drops, sources on their sites). Medians, the slowest rank counts. Also the memory
of all ranks per site.
"""

import argparse
import resource
import statistics

import numpy as np
from mpi4py import MPI
from timing import timed

from mpiepm.engine import redistribution, sweep
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import parse
from mpiepm.models.state import Events
from mpiepm.simulation import Simulation

COMM = MPI.COMM_WORLD


def main() -> None:
    """Measure and print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--harmonics", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--window", type=float, default=0.105, help="share of sites that fire, nearly: the rates are 1")
    a = parser.parse_args()
    shape = (a.length, a.length)
    params = parse(
        "[model]\ntemperature = 1e6",
        [f"lattice.size={list(shape)}", f"engine.window={a.window}", f"engine.harmonics={a.harmonics}"],
    )
    simulation = Simulation(Domain(shape), params)
    engine, state, domain = simulation.engine, simulation.state, simulation.domain
    assert isinstance(engine, sweep.SweepEngine)
    transform = engine._redistribution.transform
    field, spectrum = transform.empty(), transform.empty_spectrum()
    field[:] = state.stress
    scratch = np.zeros_like(state.stress)
    share = 0.0

    def window() -> None:
        nonlocal share
        before = state.events
        for _ in engine.advance(state, engine.boundary(state.time + 0.5 * a.window)):
            pass
        share = (state.events - before) / domain.sites

    def pairs() -> None:
        for _ in range(a.harmonics + 1):
            transform.forward(field, spectrum)
            transform.backward(spectrum, field)

    def local() -> Events:
        spreader = engine._redistribution
        events = engine._events(engine._find(state.stress, 10**6))
        sweep._drop_own_stress(
            domain.first_row, events.row, events.column, events.drop, 1.0, scratch, state.plastic_strain
        )
        begin, column, weights = spreader.sources(events)
        for weight in weights:
            for first in range(0, domain.local_shape[0], len(transform._field)):
                rows = min(len(transform._field), domain.local_shape[0] - first)
                redistribution._deposit(first, begin, column, weight, transform._field[:rows])
        return events

    actions = {"window": window, "pairs": pairs, "local": local}
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(a.repeats + 1):
        for name, action in actions.items():
            if name == "pairs":
                field[:] = state.stress
            times[name].append(timed(action))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    memory = COMM.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, MPI.SUM)
    if COMM.rank == 0:
        print(f"L = {a.length}, {COMM.size} ranks, M = {a.harmonics}, {100 * share:.1f} % of the sites fire")
        print(f"window            {1e3 * medians['window']:8.1f} ms")
        ratio = medians["window"] / medians["pairs"]
        print(f"{a.harmonics + 1} transform pairs {1e3 * medians['pairs']:8.1f} ms, ratio {ratio:.2f}")
        sites = domain.local_shape[0] * domain.local_shape[1]
        print(f"local pass        {1e9 * medians['local'] / sites:8.1f} ns per site of a rank")
        print(f"memory            {memory / domain.sites:8.1f} bytes per site, all ranks")


if __name__ == "__main__":
    main()
