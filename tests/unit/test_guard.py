"""What no sound run does: a stress that runs away, a rate above its bound, more tasks than ranks."""

import numpy as np
import pytest

from mpiepm.core.faults import SickRunError
from mpiepm.engine.event import EventEngine
from mpiepm.engine.extremal import ExtremalEngine
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.kernels.eshelby import exact_kernels
from mpiepm.models.parameters import parse
from mpiepm.runtime import guard
from mpiepm.simulation import Simulation


def simulation(*overrides: str) -> Simulation:
    params = parse("", ["lattice.size=[40, 36]", "model.temperature=0.1", *overrides])
    result = Simulation(slabs(params), params)
    for _ in range(20):
        result.step(result.state.time + 1.0, lambda name, value: None)
    return result


@pytest.mark.parametrize("kernel", ["paper", "conserving"])
def test_numbers_behind_the_bound_of_the_stress(kernel: str) -> None:
    """S as in the text of `guard`, at most 0.26, and the bound on V that follows from it."""
    kernels = exact_kernels((32, 32), kernel)
    s = float(np.square(kernels).sum(axis=(1, 2)).mean()) - 1.0
    assert 0.2 < s < 0.265
    average = 1.0 + ((1.0 + s) * 3.0 + 4.0 * s) / (1.0 - 2.0 * s)
    assert average < 3.7 * 3.0 < parse("", ["model.temperature=0.1"]).model.largest_mean_square() / 8.0


def test_mean_square_far_below_the_bound() -> None:
    run = simulation()
    assert float(np.square(run.state.stress).mean()) < 0.02 * run.params.model.largest_mean_square()
    guard.check(run)


def test_runaway_names_the_largest() -> None:
    run = simulation()
    run.state.stress[17, 5] = -1e4
    with pytest.raises(SickRunError, match=r"runs away; the largest is -10000 at site \(17, 5\) on rank 0 \(rows 0-39\), at"):
        guard.check(run)


@pytest.mark.parametrize(("field", "value"), [("stress", np.nan), ("stress", -np.inf), ("plastic_strain", np.nan)])
def test_what_is_no_number(field: str, value: float) -> None:
    run = simulation()
    getattr(run.state, field)[3, 4] = value
    getattr(run.state, field)[9, 9] = value
    with pytest.raises(SickRunError, match=rf"{field.replace('_', ' ')} {value} at site \(3, 4\) on rank 0 .* and 1 more"):
        guard.check(run)


def advance(run: Simulation) -> None:
    for _ in run.engine.advance(run.state, run.engine.boundary(run.state.time + 200.0)):
        pass


@pytest.mark.parametrize("engine", ["event", "split"])
@pytest.mark.parametrize("cause", ["bound", "stress"])
def test_a_rate_above_its_bound(engine: str, cause: str) -> None:
    """A bound that is too low, or a site whose stress is no number."""
    run = simulation(f"engine.name={engine}", *(["engine.radius=4", "engine.strip=12"] if engine == "split" else []))
    assert isinstance(run.engine, EventEngine | SplitEngine)
    if cause == "stress":
        run.state.stress[:] = np.nan
        run.engine._written.forget()
    else:
        run.engine._clocks.bound[:] *= 1e-3
    with pytest.raises(SickRunError, match=r"site \(\d+, \d+\): its rate of .* is above the bound of .* sweeps after"):
        advance(run)


def test_an_extremal_site_beyond_its_bound() -> None:
    run = simulation("engine.name=event", "engine.dynamics=extremal", "model.temperature=0")
    assert isinstance(run.engine, ExtremalEngine)
    advance(run)
    run.state.stress[7, 3] = 50.0
    run.engine._written.forget()
    with pytest.raises(SickRunError, match=r"site \(7, \d+\): the largest stress of its row was above the bound"):
        advance(run)
