"""Cost of one step of the step engine beside its bare transforms, in one run, in turn; medians, the slowest rank counts.

    python benchmarks/step_engine.py --length 512
    mpirun -n 2 python benchmarks/step_engine.py --length 2048 --tracers 4096 --equilibrate 20

Activity and stress need some 2000 tau to rise at T = 0.07, so the state is prepared: Gaussian stress of the stationary
variance, the sites with the largest active, then --equilibrate tau of dynamics; the activity is printed. Bare transforms of a
step: 1 forward and 1 backward, or 3 backward with tracers, each a call of `Transform.forward` or `Transform.backward`.
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np
from mpi4py import MPI
from timing import timed

from mpiepm.core.streams import Stream
from mpiepm.engine.step import StepEngine
from mpiepm.grid.domain import Domain
from mpiepm.grid.rng import standard_normal
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

COMM = MPI.COMM_WORLD


def main() -> None:
    """Measure and print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--tracers", type=int, default=0)
    parser.add_argument("--equilibrate", type=float, default=20.0, help="tau after the prepared state")
    parser.add_argument("--variance", type=float, default=0.052, help="of the prepared stress")
    parser.add_argument("--activity", type=float, default=0.0019, help="of the prepared state")
    parser.add_argument("--precision", default="single")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="timed together")
    a = parser.parse_args()
    shape = (a.length, a.length)
    given = [f"lattice.size={list(shape)}", f"model.temperature={a.temperature}", f"engine.precision={a.precision}"]
    given += [f"tracers.number={a.tracers}"] if a.tracers else []
    text = "[model]\nname = 'ferrero'\n[run]\nequilibrate = { time = 1 }\nduration = 1"
    simulation = Simulation(Domain(shape), parse(text, given))
    engine, state, domain = simulation.engine, simulation.state, simulation.domain
    assert isinstance(engine, StepEngine)
    assert state.active is not None
    noise = standard_normal(1, Stream.INITIAL_STRESS, domain.first_row, domain.local_shape)
    state.stress[:] = noise * np.sqrt(a.variance)
    beyond = np.sort(np.abs(noise).ravel())[int((1 - a.activity) * noise.size)]
    state.active[:] = np.where(np.abs(noise) > beyond, np.sign(noise), 0)
    engine._active = int(domain.sum_counts(int(np.count_nonzero(state.active))))
    engine.begin_origin(0.0)

    def advance(steps: int) -> None:
        for _ in engine.advance(state, state.time + steps * engine.time_step):
            pass

    advance(round(a.equilibrate / engine.time_step))
    transform = engine._transform
    field, spectrum = transform.empty(), transform.empty_spectrum()
    results = 3 if a.tracers else 1

    def bare() -> None:
        for _ in range(a.steps):
            transform.forward(field, spectrum)
            for _ in range(results):
                transform.backward(spectrum, field)

    def fused() -> None:
        for _ in range(a.steps):
            transform.convolve(
                engine._fill, engine._multipliers, (False, True, True)[:results], lambda k, first, block: None
            )

    def traced() -> None:
        for _ in range(a.steps):
            engine._fetch_row_below()
            engine.tracers.move(engine._displacement)

    actions: dict[str, Callable[[], None]] = {"step": lambda: advance(a.steps), "bare": bare, "fused": fused}
    if a.tracers:
        actions["tracers"] = traced
    times: dict[str, list[float]] = {name: [] for name in actions}
    active, events = state.active_steps, state.events
    since = state.time
    for _ in range(a.repeats + 1):
        for name, action in actions.items():
            field[:] = state.active
            times[name].append(timed(action) / a.steps)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    least = {name: min(values[1:]) for name, values in times.items()}
    if COMM.rank == 0:
        steps = (state.time - since) / engine.time_step
        share = (state.active_steps - active) / steps / domain.sites
        rate = (state.events - events) / (state.time - since) / domain.sites
        print(f"L = {a.length}, {COMM.size} ranks, T = {a.temperature:g}, {a.precision}, {a.tracers} tracers, "
              f"activity {share:.3g}, {rate:.3g} events per site and tau")  # fmt: skip
        for name in actions:
            cost = 1e9 * medians[name] * COMM.size / domain.sites
            print(f"{name:8s} {1e3 * medians[name]:8.2f} ms (least {1e3 * least[name]:.2f}), {cost:6.2f} ns of a core per site")
        ratio, of_least = medians["step"] / medians["bare"], least["step"] / least["bare"]
        print(f"step / bare transforms {ratio:.2f}, of the least {of_least:.2f}")


if __name__ == "__main__":
    main()
