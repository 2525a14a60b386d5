"""Cost of an event of the exact engine beside two yardsticks, and on several ranks.

    python benchmarks/event_engine.py [--lengths 256 512 1024] [--temperature 0.02]
    mpirun -n 2 python benchmarks/event_engine.py --lengths 1024

In one run, in turn: (engine) events; (a) one float32 table added to the float64 stress array, as streaming it costs;
(b) a plain rejection-free step: one table added, every rate recomputed with the exponential of the mathematical library, the
site found by adding them up. Medians over `--repeats` rounds. The yardsticks run on one rank only. The state: a small
lattice in its stationary state, repeated over the large one, and some events on top.
"""

import argparse
import math
import statistics
import time

import numpy as np
from mpi4py import MPI

from mpiepm.core.jit import njit
from mpiepm.engine import pending
from mpiepm.engine.event import EventEngine
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import parse
from mpiepm.models.state import State

SMALL = 64


@njit
def stream(table: np.ndarray, stress: np.ndarray) -> None:
    """Yardstick (a)."""
    for i in range(stress.shape[0]):
        for j in range(stress.shape[1]):
            stress[i, j] += table[i, j]


@njit
def plain_step(table: np.ndarray, temperature: float, stress: np.ndarray, rates: np.ndarray, sums: np.ndarray) -> int:
    """Yardstick (b): stress, rates and their sums after an event, and the next site."""
    for i in range(stress.shape[0]):
        total = 0.0
        for j in range(stress.shape[1]):
            stress[i, j] += table[i, j]
            x = 1.0 - abs(stress[i, j])
            rates[i, j] = math.exp(-x * math.sqrt(x) / temperature) if x > 0.0 else 1.0
            total += rates[i, j]
        sums[i] = total
    target = np.random.random() * np.sum(sums)
    i = 0
    while i < sums.size - 1 and target >= sums[i]:
        target -= sums[i]
        i += 1
    j = 0
    while j < rates.shape[1] - 1 and target >= rates[i, j]:
        target -= rates[i, j]
        j += 1
    return i * rates.shape[1] + j


def engine_on(domain: Domain, temperature: float, stress: np.ndarray | None, seed: int) -> tuple[EventEngine, State]:
    """Engine and state, from a stress field of the whole lattice or from the Gaussian start."""
    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = 'event'\n[run]\nseed = {seed}"
    params = parse(text, [f"lattice.size={list(domain.shape)}"])
    if stress is None:
        stress = np.random.default_rng(seed).normal(size=domain.shape)
    state = State(stress[domain.rows].copy(), np.zeros(domain.local_shape))
    return EventEngine(domain, params, state), state


def perform(engine: EventEngine, state: State, events: int) -> None:
    """So many events, and everything brought up to date."""
    while events > 0:
        batch = min(events, 4096, engine._limit(state, math.inf))
        state.events += engine._perform(state, math.inf, batch)
        events -= batch
    pending.catch_up_all(engine._response, engine._slab(state))


def main() -> None:
    """Print one line for each lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--temperature", type=float, default=0.02)
    parser.add_argument("--repeats", type=int, default=9)
    a = parser.parse_args()
    comm = MPI.COMM_WORLD
    small, state = engine_on(Domain((SMALL, SMALL), MPI.COMM_SELF), a.temperature, None, 1)
    perform(small, state, 12 * SMALL * SMALL)
    for length in a.lengths:
        times = length // SMALL
        engine, here = engine_on(Domain((length, length)), a.temperature, np.tile(state.stress, (times, times)), 2)
        engine._clocks.deep[:] = small._clocks.deep
        events = 2 * pending.CAPACITY
        perform(engine, here, 4 * events)
        costs: dict[str, list[float]] = {"engine": [], "a": [], "b": []}
        table = np.full((length, length), 1e-12, np.float32)
        field, rates, sums = np.tile(state.stress, (times, times)), np.empty((length, length)), np.empty(length)
        for _ in range(a.repeats):
            comm.Barrier()
            start = time.perf_counter()
            perform(engine, here, events)
            costs["engine"].append((time.perf_counter() - start) / events)
            if comm.size > 1:
                continue
            steps = max(4, 2_000_000 // length**2)
            start = time.perf_counter()
            for _ in range(steps):
                stream(table, field)
            costs["a"].append((time.perf_counter() - start) / steps)
            start = time.perf_counter()
            for _ in range(steps):
                plain_step(table, a.temperature, field, rates, sums)
            costs["b"].append((time.perf_counter() - start) / steps)
        cost = {key: 1e6 * statistics.median(values) for key, values in costs.items() if values}
        if comm.rank == 0:
            line = f"L = {length}, {comm.size} ranks: {cost['engine']:.1f} us per event"
            if comm.size == 1:
                line += f"; (a) {cost['a']:.1f}, ratio {cost['engine'] / cost['a']:.2f}"
                line += f"; (b) {cost['b']:.1f}, ratio {cost['engine'] / cost['b']:.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
