"""What the guards cost, as a share of the run time: the looks at all sites, and the watchdog's thread.

    python benchmarks/guards.py [--length 256] [--seconds 20]
    mpirun -n 2 python benchmarks/guards.py --length 1024

Looks: time in `guard.check` over time in steps, as `loop.run` takes them, from the start of a run, where they are
short. Signs of life: one call for each batch of events.
Thread: time that it has used, by its own clock.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

from mpi4py import MPI

from mpiepm.core import heartbeat
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import parse
from mpiepm.runtime import guard, watchdog
from mpiepm.runtime.limits import Limits
from mpiepm.runtime.wall_clock import WallClock
from mpiepm.simulation import Simulation

COMM = MPI.COMM_WORLD
CASES = {
    "sweep": ["model.temperature=0.04"],
    "event": ["model.temperature=0.04", "engine.name=event"],
    "split": ["model.temperature=0.04", "engine.name=split"],
    "ferrero": ["model={name='ferrero', temperature=0.1}", "run={equilibrate={time=1e4}, duration=1e4}"],
}  # fmt: skip


def share(case: str, length: int, seconds: float) -> tuple[float, int, float]:
    """Time in the looks over that in steps, on the slowest rank; how many there were; and time of a sign of life over both."""
    start = ["run.equilibrate={time=50}", "run.origin_duration=1e9"] if case != "ferrero" else []
    params = parse("", [f"lattice.size=[{length}, {length}]", *start, *CASES[case]])
    simulation = Simulation(slabs(params), params)
    simulation.rehearse()
    simulation = Simulation(slabs(params), params)
    guard.check(simulation)
    clock, steps, looks, number, beats = WallClock(simulation.domain, Limits()), 0.0, 0.0, 0, heartbeat.own.count
    while COMM.bcast(steps < seconds):
        start = time.perf_counter()
        clock.begin()
        simulation.step(math.inf, lambda name, value: None, clock.over)
        steps += time.perf_counter() - start
        clock.agree()
        if clock.look:
            start = time.perf_counter()
            guard.check(simulation)
            clock.looked()
            looks += time.perf_counter() - start
            number += 1
    beats = heartbeat.own.count - beats
    began = time.perf_counter()
    for _ in range(100_000):
        heartbeat.reached(0.0, 0)
    beat = (time.perf_counter() - began) / 100_000
    return COMM.allreduce(looks / steps, MPI.MAX), number, COMM.allreduce(beat * beats / steps, MPI.MAX)


def waking(length: int) -> float:
    """Seconds that the watchdog needs each time it wakes up, with a file of several ranks."""
    params = parse("", [f"lattice.size=[{length}, {length}]", "model.temperature=0.1"])
    with tempfile.TemporaryDirectory() as folder:
        dog = watchdog._Watchdog(slabs(params), Path(folder) / "heartbeats", 600.0)
        began = time.perf_counter()
        for _ in range(1000):
            dog._tell()
        return (time.perf_counter() - began) / 1000


def main() -> None:
    """Print a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20.0)
    a = parser.parse_args()
    if COMM.rank == 0:
        print(f"L = {a.length}, {COMM.size} ranks", flush=True)
    for case in CASES:
        looks, number, beats = share(case, a.length, a.seconds)
        if COMM.rank == 0:
            print(f"{case:8s} looks {100 * looks:.3f} % ({number}), heartbeat {100 * beats:.4f} %", flush=True)
    seconds = waking(a.length)
    if COMM.rank == 0:
        print(f"thread   {100 * seconds / 10:.5f} % (wakes up every 10 s)")


if __name__ == "__main__":
    main()
