"""Parameters: TOML in, checked once at the door, frozen inside, complete TOML out.

Keys, defaults and meanings stand in `core.sections` and `core.ferrero_sections`; here they are put together and checked against
each other. A wrong file raises `ParameterError` with one line for each fault: the dotted key, the value found, what is allowed.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from mpiepm.core.ferrero_sections import Ferrero, StationaryOutput, StationaryRun, Step, Tracers
from mpiepm.core.sections import Auto, Epmq, Event, Lattice, Output, Run, Section, Split, Sweep


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


def _known_keys(root: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Keys allowed in the section at `location`, in which the variant of a section is named after the section."""
    options = [root]
    for part in location:
        variants = [option for option in options if len(options) > 1 and option.model_fields["name"].default == part]
        if variants:
            options = variants
            continue
        field = options[0].model_fields.get(str(part))
        candidates = [field.annotation, *get_args(field.annotation)] if field else []
        options = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not options:
            return []
    return list(options[0].model_fields)


def _describe(root: type[BaseModel], error: Any) -> str:
    location = error["loc"]
    if error["type"] == "union_tag_invalid":
        key = ".".join([*location, "name"])
        return f"{key} = {error['ctx']['tag']!r}: must be one of {error['ctx']['expected_tags']}"
    key = ".".join(str(part) for k, part in enumerate(location) if location[:k] != ("engine",))  # without the variant
    if error["type"] == "extra_forbidden":
        known = _known_keys(root, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if error["type"] == "missing":
        return f"{key}: required, but not given"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.removesuffix(" or object to extract fields from")
    value = error["input"]
    if isinstance(value, Mapping | BaseModel):
        return f"{key}: {message}" if key and not message.startswith(f"{key}.") else message
    return f"{key} = {value!r}: must be {message}"


def _root(values: Mapping[str, Any]) -> type[AnyParameters]:
    """Which parameters these are, by the name of the model; without one, those of EPM-Q.

    Raises
    ------
    ParameterError : if there is no such model
    """
    roots: dict[object, type[AnyParameters]] = {"epmq": Parameters, "ferrero": FerreroParameters}
    model = values.get("model")
    name = model.get("name", "epmq") if isinstance(model, Mapping) else "epmq"
    if not isinstance(name, str) or name not in roots:
        raise ParameterError(f"model.name = {name!r}: must be one of {', '.join(map(repr, roots))}")
    return roots[name]


def _read_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
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
        lines = dict.fromkeys(_describe(root, fault) for fault in error.errors())
        raise ParameterError("\n".join(f"{source}: {line}" if source else line for line in lines)) from None


def _apply(values: dict[str, Any], override: str) -> None:
    """Set ``section.key=value``; a value that is no TOML is taken as a string, as the shell strips quotes."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ParameterError(f"--set {override}: must be section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    section = values
    for part in parts[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ParameterError(f"--set {override}: {part} is not a section")
    section[parts[-1]] = value


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
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{path}: not a text file") from None
