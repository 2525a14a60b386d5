"""A state that is changed from outside: by `Simulation.change`, exactly in all engines; otherwise it is noticed."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

from mpiepm.core.faults import RunError
from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.models.epmq import Epmq
from mpiepm.models.law import rate
from mpiepm.models.parameters import parse
from mpiepm.models.state import State
from mpiepm.simulation import Simulation

SHAPE = (36, 50)
SWEEP, EVENT, SPLIT = "{name='sweep', window=0.02}", "{name='event'}", "{name='split', radius=5, strip=12, window=0.3}"
EXTREMAL = "{name='event', dynamics='extremal'}"


def simulation(engine: str, *overrides: str) -> Simulation:
    temperature = 0.0 if engine == EXTREMAL else 0.1
    given = [f"lattice.size={list(SHAPE)}", f"engine={engine}", f"model.temperature={temperature}", *overrides]
    params = parse("", given)
    return Simulation(slabs(params), params)


def advance(run: Simulation, until: float) -> None:
    for _ in run.engine.advance(run.state, run.engine.boundary(until)):
        pass


def set_to(value: float) -> Callable[[State], None]:
    def alter(state: State) -> None:
        state.stress[:] = value

    return alter


def shear(state: State) -> None:
    """Of one sweep; not the same on all sites, and not a sum."""
    state.stress[:] = 0.99 * state.stress + 0.02 + 0.01 * np.cos(np.arange(state.stress.shape[1]))


@pytest.mark.parametrize("engine", [SWEEP, EVENT, SPLIT])
def test_rates_are_those_of_the_new_stress_at_once(engine: str) -> None:
    """Sites that do not interact, for half a sweep: slow, then fast, then slow again."""
    fired, sites = np.zeros(3), 0
    for seed in range(4):
        run = simulation(engine, "model.elasticity=false", "model.initial_stress_std=0", f"run.seed={seed}")
        for k, stress in enumerate((0.0, 0.9, 0.0)):
            run.change(set_to(stress))
            strain, now = run.state.plastic_strain.copy(), run.state.time
            advance(run, now + 0.5)
            fired[k] += np.count_nonzero(run.state.plastic_strain != strain)
        sites += run.domain.sites
    for k, stress in enumerate((0.0, 0.9, 0.0)):
        share = -math.expm1(-0.5 * rate(Epmq(temperature=0.1).law(), stress))
        assert abs(fired[k] - share * sites) < 4.0 * math.sqrt(share * sites) + 1.0


@pytest.mark.parametrize(("temperature", "std"), [(0.1, 0.3), (0.01, 0.02)])
@pytest.mark.parametrize("engine", [EVENT, SPLIT])
def test_bounds_hold_after_a_change(engine: str, temperature: float, std: float) -> None:
    """Also where they are kept times a power of two."""
    run = simulation(engine, f"model.temperature={temperature}", f"model.initial_stress_std={std}")
    one = run.engine
    assert isinstance(one, EventEngine | SplitEngine)
    assert np.all((one._clocks.scale > 1.0) == (temperature < 0.1))
    for k in range(5):
        advance(run, run.state.time + 3.3)

        def alter(state: State, k: int = k) -> None:
            state.stress *= -1.0 - 0.2 * k
            state.stress[3 * k] += 0.5

        run.change(alter)
        distance = np.maximum(1.0 - np.abs(run.state.stress), 0.0)
        bound = one._clocks.bound / one._clocks.scale  # a row is one tile
        assert np.all(np.exp(-(distance**1.5) / temperature) <= bound)
        assert np.allclose(one._clocks.total, bound.sum(axis=1), rtol=1e-12)
        assert one._clocks.remaining.min() >= -1e-12


@pytest.mark.parametrize("engine", [SWEEP, EVENT, SPLIT, "{name='auto'}", EXTREMAL])
def test_a_change_where_a_step_was_given_up(engine: str) -> None:
    """After any batch of events; the engine knows the stress that it left, and time goes on from there."""
    run = simulation(engine)
    for k in range(1, 8):
        until = run.engine.boundary(run.state.time + 2.0)
        batches = iter(range(k))
        run.advance(until, lambda batches=batches: next(batches, None) is None)  # type: ignore[misc]
        now, events = run.state.time, run.state.events
        assert now <= until
        run.change(shear)
        assert (run.state.time, run.state.events) == (now, events)
        run.advance(run.engine.boundary(until + 1.0))
    with pytest.raises(RunError, match=r"changed without") if engine != SWEEP else nullcontext():
        run.state.stress += 1e-9
        run.advance(run.engine.boundary(run.state.time + 1.0))


def test_a_change_sees_the_present_stress() -> None:
    """What waits in the far field, or for the end of a window, is there: the sum of the kernels, as with the event engine."""
    run = simulation(SPLIT, "engine.far_tolerance=10", "model.kernel=conserving")
    before = float(run.state.stress.sum())
    advance(run, 20.0)
    waiting = float(run.state.stress.sum())
    found: list[float] = []
    run.change(lambda state: found.append(float(state.stress.sum())))
    assert abs(waiting - before) > 1.0  # the kernel conserves the mean stress, its near part does not
    assert found[0] == pytest.approx(before, abs=1e-2)


@pytest.mark.parametrize("engine", [EVENT, SPLIT, EXTREMAL])
def test_a_change_by_other_means_is_noticed(engine: str) -> None:
    run = simulation(engine)
    advance(run, 5.0)
    run.state.stress += 1e-9
    with pytest.raises(RunError, match=r"changed without the engine being told: use Simulation.change"):
        advance(run, 6.0)
    with pytest.raises(RunError, match=r"changed without"):
        run.change(shear)


def test_extremal_dynamics_fires_what_has_become_the_largest() -> None:
    run = simulation(EXTREMAL)
    advance(run, 300.0)
    run.change(set_to(0.1))
    run.change(lambda state: state.stress.__setitem__((7, 3), -0.9))
    (batch,) = run.engine.advance(run.state, 301.0)
    assert (batch.row[0], batch.column[0]) == (7, 3)


def test_activity_may_be_changed() -> None:
    """Model "ferrero": nobody is active, then all are."""
    given = [f"lattice.size={list(SHAPE)}", "model={name='ferrero', temperature=0.01}",
             "run={equilibrate={time=1}, duration=1}"]  # fmt: skip
    params = parse("", given)
    run = Simulation(slabs(params), params)
    advance(run, 5.0)
    assert not run.state.plastic_strain.any()

    def alter(state: State) -> None:
        assert state.active is not None
        state.active[:] = 1

    run.change(alter)
    advance(run, 5.1)
    assert np.allclose(run.state.plastic_strain, 0.05)
    assert run.state.active_steps == run.domain.sites


def mean_stress(engine: str) -> tuple[float, float]:
    """Under a small shear in every sweep, with its error."""
    run, found = simulation(engine), []
    for k in range(1, 161):
        advance(run, float(k))
        run.change(lambda state: state.stress.__iadd__(0.03))  # type: ignore[misc]
        found.append(float(run.state.stress.mean()))
    blocks = np.array(found[40:]).reshape(10, 12).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / math.sqrt(10))


def test_all_engines_have_the_same_stress_under_shear() -> None:
    """With windows so short that what waits for their end does not matter."""
    (exact, error), *others = (mean_stress(engine) for engine in (EVENT, SWEEP, SPLIT.replace("0.3", "0.02")))
    assert exact > 10 * error
    for found, other in others:
        assert abs(found - exact) < 4.0 * math.hypot(error, other) + 0.003


@pytest.mark.parametrize("engine", [SWEEP, EVENT, SPLIT, "{name='auto'}", EXTREMAL])
def test_a_resumed_run_goes_on_from_a_change(engine: str) -> None:
    first, second = simulation(engine), simulation(engine)
    for k in range(1, 6):
        advance(first, 2.0 * k)
        first.change(shear)
    advance(first, 11.3)
    for part, other in ((first.state, second.state), (first.engine, second.engine)):
        scalars, fields = part.save()
        other.restore(scalars, {name: field.copy() for name, field in fields.items()})  # type: ignore[attr-defined]
    for run in (first, second):
        advance(run, 14.0)
        run.change(shear)
        advance(run, 20.0)
    assert first.state.events == second.state.events
    assert first.state.stress.tobytes() == second.state.stress.tobytes()
