"""The auto engine: it equilibrates, measures, chooses, and keeps its choice."""

import json

import numpy as np
import pytest

from mpiepm.engine import auto
from mpiepm.engine.auto import AutoEngine
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation


def chosen(size: tuple[int, int], costs: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> tuple[Parameters, Simulation]:
    """A simulation past its equilibration, with made-up costs."""
    monkeypatch.setattr(AutoEngine, "_trial", lambda self, name, activity: costs[name])
    params = parse(
        "[model]\ntemperature = 0.1\n[engine]\nname = 'auto'",
        [f"lattice.size={list(size)}", "run.equilibrate={events_per_site=1}", "run.origins=1"],
    )
    simulation = Simulation(slabs(params), params)
    while simulation.phases.origin < 0:
        simulation.step(np.inf, lambda name, value: None)
    return params, simulation


@pytest.mark.parametrize(
    ("size", "costs", "expected"),
    [
        ((128, 40), {"event": 1.4, "split": 1.0, "sweep": 2.0}, "event"),  # exact, and hardly more
        ((128, 40), {"event": 1.6, "split": 1.0, "sweep": 2.0}, "split"),
        ((128, 40), {"event": 1.6, "split": 1.0, "sweep": 0.5}, "sweep"),
        ((20, 30), {"event": 1.0, "sweep": 0.1}, "sweep"),  # too small for the split engine
    ],
)
def test_choice_and_resume(
    size: tuple[int, int], costs: dict[str, float], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, simulation = chosen(size, costs, monkeypatch)
    engine = simulation.engine
    assert isinstance(engine, AutoEngine)
    assert engine.choice == expected
    assert simulation.engine_chosen.startswith(f"{expected}: seconds per sweep at ")
    parts = {name: part.save() for name, part in simulation.parts.items()}
    resumed = Simulation(slabs(params), params)
    for name, part in resumed.parts.items():
        scalars, fields = parts[name]
        part.restore(json.loads(json.dumps(scalars)), {key: np.array(field) for key, field in fields.items()})
    assert resumed.engine_chosen == simulation.engine_chosen
    for one in (simulation, resumed):
        one.advance(one.engine.boundary(3.0))
    assert simulation.state.events == resumed.state.events
    assert simulation.state.stress.tobytes() == resumed.state.stress.tobytes()


def test_an_engine_without_hope_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts on 600 sites take a microsecond per sweep at least: too long beside 1e-7 s for the events."""
    _, simulation = chosen((20, 30), {"event": 1e-7}, monkeypatch)
    assert simulation.engine_chosen.startswith("event: ")
    assert "sweep 1" not in simulation.engine_chosen


def test_a_trial_of_the_sweep_engine_ends_where_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """All barriers are 1: an event every exp(100) sweeps."""
    monkeypatch.setattr(auto, "_TRIAL", 0.01)
    overrides = ["lattice.size=[72, 40]", "model.initial_stress_std=0"]
    params = parse("[model]\ntemperature = 0.01\n[engine]\nname = 'auto'", overrides)
    engine = Simulation(slabs(params), params).engine
    assert isinstance(engine, AutoEngine)
    assert 0.0 < engine._trial("sweep", 1e-40) < np.inf


def test_trials_leave_the_state_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "_TRIAL", 0.01)
    params = parse("[model]\ntemperature = 0.1\n[engine]\nname = 'auto'", ["lattice.size=[64, 64]"])
    simulation = Simulation(slabs(params), params)
    before = simulation.state.stress.copy()
    engine = simulation.engine
    assert isinstance(engine, AutoEngine)
    for name in ("event", "split", "sweep"):
        assert 0.0 < engine._trial(name, 400.0) < 10.0
    assert np.array_equal(simulation.state.stress, before)
