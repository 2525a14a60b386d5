"""Parameters: TOML in, checked once at the door, frozen inside, complete TOML out.

Keys, defaults and meanings stand in `core.sections` and `core.ferrero_sections`; here they are put together and checked against
each other. A wrong file raises `ParameterError` with one line for each fault: the dotted key, the value found, what is allowed.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli_w
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from mpiepm.core import cold
from mpiepm.core.ferrero_sections import Ferrero, StationaryOutput, StationaryRun, Step, Tracers
from mpiepm.core.sections import Auto, Epmq, Event, Lattice, Output, Run, Section, Split, Sweep
from mpiepm.core.wording import describe, shown

_LARGEST_FILE = 1024**2  # bytes
_MOST_STEPS = 1e15  # that floating-point numbers can count


class ParameterError(ValueError):
    """Something the user wrote is wrong; the message says what, where, and what is allowed."""


class _Root(Section):
    def to_toml(self) -> str:
        """The complete file, defaults filled in; reading it back gives equal parameters."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class Parameters(_Root):
    """All parameters of a run of EPM-Q, valid and frozen."""

    lattice: Lattice = Lattice()
    model: Epmq
    engine: Annotated[Sweep | Event | Split | Auto, Field(discriminator="name")] = Sweep()
    run: Run = Field(default_factory=Run)
    output: Output = Output()

    @field_validator("engine", mode="before")
    @classmethod
    def _default_engine(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("name") == "step":
                raise ValueError("engine.name = 'step', model.name = 'epmq': the step engine is for 'ferrero'")
            return {"name": "sweep", **value}
        return value

    @model_validator(mode="after")
    def _windows_can_be_counted(self) -> "Parameters":
        longest = max(self.run.equilibrate.time or 0.0, self.run.origin_duration or 0.0)
        if isinstance(self.engine, Sweep) and longest > _MOST_STEPS * self.engine.window:
            given = f"engine.window = {self.engine.window:g}, run.equilibrate.time or run.origin_duration = {longest:g}"
            raise ValueError(f"{given}: must be at most {_MOST_STEPS:g} windows")
        return self

    @model_validator(mode="after")
    def _near_field_fits(self) -> "Parameters":
        if isinstance(self.engine, Split) and 2 * self.engine.radius + 2 > min(self.lattice.size):
            given = f"lattice.size = {list(self.lattice.size)}, engine.radius = {self.engine.radius}"
            raise ValueError(f"{given}: 2 radius + 2 must be at most the shorter side")
        return self

    @model_validator(mode="after")
    def _avalanches_can_end(self) -> "Parameters":
        extremal = isinstance(self.engine, Event) and self.engine.dynamics == "extremal"
        if self.output.avalanches and self.output.avalanches.thresholds and not extremal:
            raise ValueError("output.avalanches.thresholds: only with engine.dynamics = 'extremal'")
        if self.output.avalanches and self.output.avalanches.gaps and extremal:
            raise ValueError("output.avalanches.gaps: must be [] for extremal dynamics, where time counts events")
        return self

    @model_validator(mode="after")
    def _zero_temperature(self) -> "Parameters":
        extremal = isinstance(self.engine, Event) and self.engine.dynamics == "extremal"
        if extremal != (self.model.temperature == 0):
            dynamics = "extremal" if extremal else "thermal"
            given = f"model.temperature = {self.model.temperature:g}, engine.dynamics = {dynamics!r}"
            raise ValueError(f"{given}: must be temperature 0 for extremal dynamics, above 0 for thermal")
        return self


    @model_validator(mode="after")
    def _times_can_be_counted(self) -> "Parameters":
        model, (lx, ly) = self.model, self.lattice.size
        if model.temperature == 0:
            return self
        given = f"model.temperature = {model.temperature:g}"
        lowest = cold.lowest_temperature(model)
        if not isinstance(self.engine, Sweep) and model.temperature < lowest:
            what = f"at least {lowest:.3g}, or 0 with extremal dynamics"
            raise ValueError(f"{given}, engine.name = {self.engine.name!r}: must be {what}")
        wait, longest = cold.log_first_wait(model, lx * ly), math.log(cold.LONGEST)
        if wait > longest:
            given += f", model.initial_stress_std = {model.initial_stress_std:g}"
            raise ValueError(f"{given}: exp({wait:.4g}) sweeps before the first event, must be at most exp({longest:.0f})")
        return self


class FerreroParameters(_Root):
    """All parameters of a run of the model "ferrero", valid and frozen."""

    lattice: Lattice = Lattice()
    model: Ferrero
    engine: Step = Step()
    run: StationaryRun
    tracers: Tracers | None = Field(default=None, description="none")
    output: StationaryOutput = StationaryOutput()

    @field_validator("engine", mode="before")
    @classmethod
    def _only_engine(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("name", "step") != "step":
            raise ValueError(f"engine.name = {value['name']!r}, model.name = 'ferrero': the engine must be 'step'")
        return value

    @model_validator(mode="after")
    def _probabilities(self) -> "FerreroParameters":
        model, dt = self.model, self.engine.time_step
        if dt > model.restructuring_time:
            given = f"engine.time_step = {dt:g}, model.restructuring_time = {model.restructuring_time:g}"
            raise ValueError(f"{given}: a step must not be longer than an event")
        if model.activation == "thermal" and dt * model.gamma0 > 1.0:
            raise ValueError(f"engine.time_step = {dt:g}, model.gamma0 = {model.gamma0:g}: their product must be at most 1")
        if model.activity is not None and dt * model.activity > model.restructuring_time * (1.0 - model.activity):
            given = f"engine.time_step = {dt:g}, model.activity = {model.activity:g}"
            raise ValueError(f"{given}: the probability of activation, dt a / (1 - a) / restructuring_time, must be at most 1")
        return self

    @model_validator(mode="after")
    def _run_is_long_enough(self) -> "FerreroParameters":
        if self.output.interval > self.run.duration:
            given = f"output.interval = {self.output.interval:g}, run.duration = {self.run.duration:g}"
            raise ValueError(f"{given}: the run must last at least one interval")
        longest = self.run.equilibrate.time + self.run.duration
        if longest > _MOST_STEPS * self.engine.time_step:
            given = f"engine.time_step = {self.engine.time_step:g}, run.equilibrate.time + run.duration = {longest:g}"
            raise ValueError(f"{given}: must be at most {_MOST_STEPS:g} steps")
        return self

    @model_validator(mode="after")
    def _intervals_are_steps(self) -> "FerreroParameters":
        between_frames = (self.tracers and self.tracers.interval) or None
        for key, interval in (("output.interval", self.output.interval), ("tracers.interval", between_frames)):
            if interval is not None and interval < self.engine.time_step:
                given = f"{key} = {interval:g}, engine.time_step = {self.engine.time_step:g}"
                raise ValueError(f"{given}: an interval must not be shorter than a step")
        return self

    @model_validator(mode="after")
    def _room_for_tracers(self) -> "FerreroParameters":
        sites = self.lattice.size[0] * self.lattice.size[1]
        if self.tracers and self.tracers.placement == "sites" and self.tracers.number > sites:
            given = f"tracers.number = {self.tracers.number}, lattice.size = {list(self.lattice.size)}"
            raise ValueError(f"{given}: placement 'sites' has room for {sites}")
        return self

    def with_activity(self, activity: float) -> "FerreroParameters":
        """These, with the number in place of activity_from; raises ParameterError if it does not fit."""
        model = self.model.model_dump(exclude_none=True) | {"activity": activity}
        del model["activity_from"]
        return validated(FerreroParameters, {**self.model_dump(exclude_none=True), "model": model}, "model.activity_from")


AnyParameters = Parameters | FerreroParameters


_ROOTS: dict[str, type[AnyParameters]] = {"epmq": Parameters, "ferrero": FerreroParameters}


def _root(values: Mapping[str, Any]) -> type[AnyParameters]:
    """Which parameters these are, by the name of the model; without one, those of EPM-Q.

    Raises
    ------
    ParameterError : if there is no such model
    """
    model = values.get("model")
    name = model.get("name", "epmq") if isinstance(model, Mapping) else "epmq"
    if not isinstance(name, str) or name not in _ROOTS:
        raise ParameterError(f"model.name = {shown(name)}: must be one of {', '.join(map(repr, _ROOTS))}")
    return _ROOTS[name]


def _read_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return _toml(text)
    except ValueError as error:
        raise ParameterError(f"{source}: not valid TOML: {error}") from None


def parse(text: str, overrides: Sequence[str] = (), source: str = "parameters") -> AnyParameters:
    """Parameters from TOML `text`, with ``section.key=value`` overrides applied on top (values are TOML as well).

    Raises
    ------
    ParameterError : one line per fault
    """
    values = _read_toml(text, source)
    for override in overrides:
        _apply(values, override)
    try:
        root = _root(values)
    except ParameterError as error:
        raise ParameterError(f"{source}: {error}") from None
    return validated(root, values, source)


def from_values(values: Mapping[str, Any]) -> AnyParameters:
    """Parameters from nested dictionaries; see `parse`."""
    return validated(_root(values), values)


def validated(root: type[_AnyModel], values: Mapping[str, Any], source: str = "") -> _AnyModel:
    """A `root` from nested dictionaries.

    Raises
    ------
    ParameterError : one line per fault, after the name of the `source`
    """
    try:
        return root.model_validate(values)
    except ValidationError as error:
        others = {name: other for name, other in _ROOTS.items() if other is not root}
        lines = dict.fromkeys(describe(root, fault, others) for fault in error.errors(include_url=False))
        raise ParameterError("\n".join(f"{source}: {line}" if source else line for line in lines)) from None


def _toml(text: str) -> dict[str, Any]:
    """Raises ValueError if it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # int() of more than 4300 digits
        raise ValueError("a number has thousands of digits") from None


def _apply(values: dict[str, Any], override: str) -> None:
    """Set ``section.key=value``; a value that is no TOML is taken as a string, as the shell strips quotes."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ParameterError(f"--set {override}: must be section.key=value")
    try:
        parsed = _toml(f"value = {text}")
    except ValueError:
        parsed = {}
    section = values
    for depth, part in enumerate(parts[:-1], 1):
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ParameterError(f"--set {override}: {'.'.join(parts[:depth])} is not a section")
    section[parts[-1]] = parsed["value"] if parsed.keys() == {"value"} else text.strip()


def load(path: Path, overrides: Sequence[str] = ()) -> AnyParameters:
    """Parameters from the TOML file `path`; see `parse`."""
    return parse(_read_text(path), overrides, str(path))


def load_toml(path: Path) -> dict[str, Any]:
    """Whatever the TOML file `path` holds.

    Raises
    ------
    ParameterError : if it cannot be read or is not TOML
    """
    return _read_toml(_read_text(path), str(path))


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ParameterError(f"{path}: too large for a parameter file, must be at most {_LARGEST_FILE} bytes")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{path}: not a text file, must be TOML in UTF-8") from None
