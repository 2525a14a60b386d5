"""A kernel outside the package (examples/own_kernel.py) in every propagator: the stress is the sum over all events."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_kernel.py"
PROGRAM = """
import sys
import numpy as np
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

example, engine = sys.argv[1:]
model = "{ name = 'mean-field', temperature = 0.2 }"
params = parse(f"imports = [{example!r}]\\nlattice.size = [20, 24]\\nmodel = {model}\\nengine = {engine}")
simulation = Simulation(slabs(params), params)
state, engine = simulation.state, simulation.engine
expected, sites, events = state.stress.copy(), simulation.domain.sites, 0
for e in engine.advance(state, engine.boundary(2.0)):
    own = np.zeros_like(expected)
    np.add.at(own, (e.row, e.column), e.drop)
    expected += (e.drop.sum() - own) / (sites - 1) - own
    events += len(e)
if hasattr(engine, "settle"):
    engine.settle(state, 2.0)
assert events > 200
assert np.abs(state.stress - expected).max() < 1e-4, np.abs(state.stress - expected).max()
"""


@pytest.mark.parametrize("engine", ["{name='sweep'}", "{name='event'}", "{name='split', radius=4, strip=8}"])
def test_mean_field(engine: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, EXAMPLE, engine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
