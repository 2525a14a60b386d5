"""Seconds per event (model "ferrero": per step) of every engine, to compare numbers of ranks on one machine.

    for n in 1 2; do mpirun -n $n python benchmarks/ranks.py --lengths 64 128 256 512 1024; done

From the start of a run at T = 0.05 (ferrero: random activation, a = 0.01), after everything is compiled; the shortest of three
pieces of about `--seconds` each. `engine.layout.advised_ranks` rests on the ratios.
"""

import argparse
import time

from mpi4py import MPI

from mpiepm.engine.layout import most_ranks, slabs
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation
from mpiepm.warmup import compile_in_turn, rehearse

COMM = MPI.COMM_WORLD
CASES = {
    "event": ["model.temperature=0.05", "engine.name=event"],
    "split": ["model.temperature=0.05", "engine.name=split"],
    "sweep": ["model.temperature=0.05", "engine.name=sweep"],
    "step": ["model={name='ferrero', activation='random', activity=0.01}", "run={equilibrate={time=1e4}, duration=1e4}"],
}  # fmt: skip


def _work(simulation: Simulation) -> float:
    """Steps, or events, so far."""
    if simulation.params.run.stationary:
        return simulation.state.time / simulation.params.engine.resolution
    return simulation.state.events


def cost(case: str, length: int, seconds: float) -> float:
    """Seconds per event or step; 0 where the lattice does not fit the ranks."""
    start = ["run.equilibrate={time=1e9}", "run.origin_duration=1e9"] if case != "step" else []
    params = parse("", [f"lattice.size=[{length}, {length}]", *start, *CASES[case]])
    if COMM.size > most_ranks(params):
        return 0.0
    if COMM.size > 1:
        compile_in_turn(COMM, params)
    else:
        rehearse(params)
    simulation = Simulation(slabs(params), params)
    found = []
    for _ in range(4):  # the first is not counted
        before = _work(simulation)
        began = time.perf_counter()
        for _ in simulation.engine.advance(simulation.state, simulation.engine.boundary(1e6)):
            if COMM.bcast(time.perf_counter() - began > seconds):
                break
        took = time.perf_counter() - began
        found.append(COMM.bcast(took) / max(_work(simulation) - before, 1))
    return float(min(found[1:]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--seconds", type=float, default=2.0)
    a = parser.parse_args()
    for case in a.cases:
        for length in a.lengths:
            seconds = cost(case, length, a.seconds)
            if COMM.rank == 0:
                print(f"{COMM.size} ranks  {case:6s} L = {length:5d}  {1e6 * seconds:10.3g} us", flush=True)


if __name__ == "__main__":
    main()
