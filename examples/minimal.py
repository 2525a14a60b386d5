"""A simulation without the command line: state, engine, loop, plot. On any number of ranks.

    python examples/minimal.py [FILE.png]
    mpirun -n 2 python examples/minimal.py [FILE.png]

The relaxation of EPM-Q from a Gaussian stress (Ozawa & Biroli 2023): share of sites that have not yielded yet, and the yield
rate. Then the lattice is sheared by a small step, as an example of a change from outside.
"""

import sys
from pathlib import Path

import numpy as np

from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import parse
from mpiepm.models.state import State

params = parse("""
lattice.size = [64, 64]
model.temperature = 0.06
engine.name = "event"
""")
domain = slabs(params)  # this rank's rows of the lattice
state = params.model.start(params.run.seed, domain.first_row, domain.local_shape)
engine = EventEngine(domain, params, state)

untouched = np.ones(domain.local_shape, bool)
times, persistence, rates = np.geomspace(0.1, 30.0, 40), [], []
before, events = 0.0, 0
for time in times:
    for batch in engine.advance(state, time):  # events of this rank's rows
        untouched[batch.row - domain.first_row, batch.column] = False
    persistence.append(int(domain.sum_counts(int(untouched.sum()))) / domain.sites)
    rates.append((state.events - events) / (domain.sites * (time - before)))
    before, events = time, state.events


def shear(state: State) -> None:
    """Add the same stress to all sites of this rank."""
    state.stress += 0.1


engine.change(state, shear)  # clocks and bounds go on from the new stress, exactly
mean = domain.sum_power(state.stress) / domain.sites

if domain.rank == 0:
    print(f"{state.events} events, P = {persistence[-1]:.3f}, Gamma = {rates[-1]:.4f}, mean stress after shear {mean:.3f}")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(layout="constrained")
    axes.semilogx(times, persistence, label="P(t)")
    axes.semilogx(times, rates, label="yield rate, 1/sweep")
    axes.set_xlabel("t, sweeps")
    axes.legend()
    figure.savefig(Path(sys.argv[1] if len(sys.argv) > 1 else "minimal.png"))
