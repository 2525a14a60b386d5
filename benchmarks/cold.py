"""Cost of an event when it is cold: seconds and candidates per event, time per event and site.

    python benchmarks/cold.py [--lengths 16 64] [--temperatures 0.005 0.002 0.001 0.0005] [--engines event split]

The state: stationary by extremal dynamics, the limit T -> 0, and `--before` events per site on top, by the engine to be
measured (one for each site at least, so that it has set its bounds). Then `--events` events per site are timed: user time of
the process, candidates drawn for each event, the logarithm of 1 / Gamma and, times T, its barrier.
"""

import argparse
import math
import os
import time

import numpy as np
from mpi4py import MPI

from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation


def parameters(shape: tuple[int, int], temperature: float, engine: str, seed: int) -> Parameters:
    """Of a run; the near field and the strips of the split engine as large as the lattice allows."""
    given = [f"lattice.size={list(shape)}", f"run.seed={seed}"]
    if engine == "split":
        radius = min(16, min(shape) // 2 - 1, shape[0] // 4)
        given += [f"engine.radius={radius}", f"engine.strip={max(4, min(64, shape[0] // 2))}"]
    dynamics = "extremal" if temperature == 0 else "thermal"
    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = '{engine}'\n"
    text += f"dynamics = '{dynamics}'" if engine == "event" else ""
    return parse(text, given)


def cold_state(shape: tuple[int, int], events_per_site: float, seed: int) -> np.ndarray:
    """Stress of the whole lattice, stationary at T -> 0."""
    params = parameters(shape, 0.0, "event", seed)
    simulation = Simulation(slabs(params, MPI.COMM_SELF), params)
    simulation.advance(float(round(events_per_site * simulation.domain.sites)))
    return simulation.state.stress


def perform(simulation: Simulation, events: int) -> float:
    """So many events and the rest of a batch; sweeps of the last one since the origin."""
    state, time = simulation.state, 0.0
    until = state.events + events
    for batch in simulation.engine.advance(state, math.inf):
        time = max(time, float(batch.time.max(initial=0.0)))
        if state.events >= until:
            break
    return time


def draws(simulation: Simulation) -> int:
    """Candidates so far."""
    engine = simulation.engine
    assert isinstance(engine, EventEngine | SplitEngine)
    return int(engine._clocks.draws.sum())


def main() -> None:
    """Print one line for each lattice, engine and temperature."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.005, 0.002, 0.001, 0.0005])
    parser.add_argument("--engines", nargs="+", choices=["event", "split"], default=["event", "split"])
    parser.add_argument("--start", type=float, default=20.0, help="events per site of the extremal dynamics")
    parser.add_argument("--before", type=float, default=2.0)
    parser.add_argument("--events", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    for length in a.lengths:
        shape = (length, length)
        start = cold_state(shape, a.start, a.seed)
        for engine in a.engines:
            for temperature in a.temperatures:
                params = parameters(shape, temperature, engine, a.seed)
                simulation = Simulation(slabs(params, MPI.COMM_SELF), params)
                simulation.state.stress[:] = start
                simulation.engine = type(simulation.engine)(simulation.domain, params, simulation.state)  # type: ignore[call-arg]
                sites = simulation.domain.sites
                since = perform(simulation, math.ceil(a.before * sites))
                simulation.engine.begin_origin(since)
                events, candidates = simulation.state.events, draws(simulation)
                began, user = time.perf_counter(), os.times().user
                time_passed = perform(simulation, math.ceil(a.events * sites))
                seconds, user = time.perf_counter() - began, os.times().user - user
                events = simulation.state.events - events
                logarithm = math.log(time_passed * sites / events)
                print(
                    f"L = {length}, T = {temperature:g}, {engine}: {1e6 * user / events:.1f} us of user time per event, "
                    f"{events / seconds:.3g} events per second, {(draws(simulation) - candidates) / events:.2f} candidates per "
                    f"event; 1/Gamma = exp({logarithm:.4g}), T ln(1/Gamma) = {temperature * logarithm:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
