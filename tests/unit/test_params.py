"""Parameters: one clear line for each fault, and a complete file out."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mpiepm.core.faults import ParameterError
from mpiepm.models.epmq import Epmq
from mpiepm.models.ferrero import Ferrero
from mpiepm.models.parameters import Parameters, parameters_of, parse

MINIMAL = "[model]\ntemperature = 0.03\n"
FERRERO = "[model]\nname = 'ferrero'\ntemperature = 0.1\n[run]\nequilibrate = { time = 50 }\nduration = 10\n"


def test_round_trip_is_complete_and_frozen() -> None:
    params = parse(MINIMAL, ["lattice.size=[96, 60]", "output.snapshots=[1, 2.5]", "run.origin_duration=7"])
    assert params.lattice.size == (96, 60)
    assert parse(params.to_toml()) == params
    for key in ("barrier_exponent", "harmonics", "seed", "checkpoint_minutes", "per_decade", "equilibrate"):
        assert key in params.to_toml()
    with pytest.raises(ValueError, match="frozen"):
        params.model.temperature = 1.0  # type: ignore[misc]


def test_overrides_take_precedence_and_strings_need_no_quotes() -> None:
    params = parse(MINIMAL, ["model.temperature=0.5", "model.kernel=conserving", "run.equilibrate.time=3"])
    assert (params.model.temperature, params.model.kernel) == (0.5, "conserving")
    assert params.run.equilibrate.time == 3


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("", [], "model: required"),
        ("[model]\n", [], "model.temperature: required"),
        (MINIMAL, ["model.temperature=-1"], "model.temperature = -1: must be at least 0"),
        (MINIMAL, ["model.temperature=nan"], "model.temperature = nan: must be a finite number"),
        (MINIMAL, ["model.temperature=cold"], "model.temperature = 'cold': must be a number"),
        (MINIMAL, ["model.temprature=1"], "model.temprature: unknown key; did you mean temperature?"),
        (MINIMAL, ["modle.temperature=1"], "modle: unknown key; did you mean model?"),
        (MINIMAL, ["output.histogram.bns=3"], "output.histogram.bns: unknown key; did you mean bins?"),
        (MINIMAL, ["model.kernel=papr"], "model.kernel = 'papr': must be 'paper' or 'conserving'"),
        (MINIMAL, ["engine.name=swep"], "engine.name = 'swep': must be"),
        (MINIMAL, ["engine.window=0"], "engine.window = 0: must be at least 1e-06"),
        (MINIMAL, ["engine.winow=1"], "engine.winow: unknown key; did you mean window?"),
        (MINIMAL, ["engine.name=event", "engine.window=1"], "engine.window: unknown key; it belongs to engine.name = 'sweep'"),
        (MINIMAL, ["engine.name=event", "engine.dynamics=cold"], "engine.dynamics = 'cold': must be 'thermal' or 'extremal'"),
        (MINIMAL, ["engine=3"], "engine = 3: must be a section"),
        (MINIMAL, ["model.temperature=0"], "model.temperature = 0, engine.dynamics = 'thermal': must be"),
        (MINIMAL, ["engine.name=event", "engine.dynamics=extremal"], "model.temperature = 0.03, engine.dynamics"),
        (MINIMAL, ["engine.harmonics=2.5"], "engine.harmonics = 2.5: must be a whole number"),
        (MINIMAL, ["lattice.size=[64]"], "lattice.size = [64]: must be a list of 2 numbers"),
        (MINIMAL, ["lattice.size=[64, 2]"], "lattice.size[1] = 2: must be at least 4"),
        (MINIMAL, ["run.seed=-1"], "run.seed = -1: must be at least 0"),
        (MINIMAL, ["run.origins=0"], "run.origins = 0: must be at least 1"),
        (MINIMAL, ["run.stop_persistence=0.1", "run.origin_duration=5"], "contradict"),
        (MINIMAL, ["run.equilibrate={time=1, events_per_site=1}"], "exactly one"),
        (MINIMAL, ["run.equilibrate={}"], "exactly one"),
        (MINIMAL, ["model=3"], "model = 3: must be a section"),
        (MINIMAL, ["temperature"], "must be section.key=value"),
        (MINIMAL, ["model.temperature.x=1"], "model.temperature is not a section"),
        ("[model\n", [], "not valid TOML"),
        (MINIMAL, ["model.name=fererro"], "model.name = 'fererro': must be one of 'epmq', 'ferrero'"),
        (MINIMAL, ["engine.name=step"], "engine.name = 'step', model.name = 'epmq': must be 'sweep', 'event', 'split' or"),
        (FERRERO, ["engine.name=split"], "engine.name = 'split', model.name = 'ferrero': must be 'step'"),
        (FERRERO, ["run.origins=1"], "run.origins = 1: does not apply to a stationary run, use duration"),
        (FERRERO, ["output.four_point={}"], "output.four_point: unknown key; it belongs to model.name = 'epmq'"),
        (FERRERO, ["model.kernel=paper"], "model.kernel: unknown key; it belongs to model.name = 'epmq'"),
        (FERRERO, ["model.gama0=2"], "model.gama0: unknown key; did you mean gamma0?"),
        (FERRERO, ["run.equilibrate={}"], "run.equilibrate.time: required"),
        (FERRERO, ["model.activation=random"], "model.activation = 'random': needs activity or activity_from"),
        (FERRERO, ["model.activity=0.1"], "model.activation = 'thermal': needs temperature and no other"),
        (FERRERO, ["engine.time_step=0.5", "model.gamma0=3"], "engine.time_step = 0.5, model.gamma0 = 3: their product"),
        (FERRERO, ["model.restructuring_time=0.05"], "engine.time_step = 0.1, model.restructuring_time = 0.05"),
        (FERRERO, ["model.mean_stress=1"], "model.mean_stress = 1: must be 0 or -1"),
        (FERRERO, ["tracers.interval=1"], "tracers.number: required"),
        (FERRERO, ["tracers={number=2, interval=1, frames={}}"], "tracers.interval and frames contradict each other"),
        (FERRERO, ["tracers={number=5000, placement='sites'}", "lattice.size=[64, 64]"], "tracers.number = 5000, lattice.size"),
        (FERRERO, ["output.interval=20"], "output.interval = 20, run.duration = 10: the run must last at least one interval"),
    ],
)
def test_bad_input_names_key_value_and_what_is_allowed(text: str, overrides: list[str], expected: str) -> None:
    with pytest.raises(ParameterError) as fault:
        parse(text, overrides)
    assert expected in str(fault.value)
    assert len(str(fault.value).splitlines()) == 1


def test_the_two_models_have_their_own_parameters() -> None:
    params = parse(FERRERO, ["tracers={number=7, frames={first=0.2}}", "model.preset=fitted-activity", "model.mean_stress=-1"])
    assert isinstance(params, Parameters)
    assert (params.model.gamma0, params.engine.name, params.run.origin_duration) == (1.75, "step", 10)
    assert params.tracers is not None
    assert params.tracers.interval is None
    assert parse(params.to_toml()) == params
    given = parse(FERRERO, ["model.preset=fitted-activity", "model.gamma0=1.5", "tracers.number=1"])
    assert (given.model.gamma0, given.tracers.interval) == (1.5, 1.0)
    assert parse(given.to_toml()) == given


def test_every_fault_gets_its_line() -> None:
    with pytest.raises(ParameterError) as fault:
        parse(MINIMAL, ["run.seed=-1", "engine.window=-1", "lattice.sise=[4, 4]"])
    assert len(str(fault.value).splitlines()) == 3


@given(st.text(max_size=80), st.text(max_size=30))
def test_no_text_brings_anything_but_parameters_or_a_parameter_error(text: str, override: str) -> None:
    with contextlib.suppress(ParameterError):
        assert isinstance(parse(text, [override]), Parameters)


def test_the_documentation_lists_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_0-9.]+)` \|", text, flags=re.MULTILINE))

    def keys(section: type[BaseModel], prefix: str) -> set[str]:
        found: set[str] = set()
        for name, field in section.model_fields.items():
            inner = [t for t in (field.annotation, *get_args(field.annotation)) if isinstance(t, type)]
            sections = [t for t in inner if issubclass(t, BaseModel)]
            found |= {key for s in sections for key in keys(s, f"{prefix}{name}.")} if sections else {prefix + name}
        return found

    assert documented == keys(parameters_of(Epmq), "") | keys(parameters_of(Ferrero), "")


def test_the_reference_page_is_up_to_date() -> None:
    """A process of its own, in which no file of a user has defined a model or observer."""
    program = Path(__file__).parents[2] / "docs" / "generate.py"
    assert subprocess.run([sys.executable, program, "--check"], check=False).returncode == 0, "run docs/generate.py"
