"""Parameters: TOML in, checked once at the door, frozen inside, complete TOML out.

Every key, its default and its meaning stand here and nowhere else. A wrong file raises `ParameterError` with one line
for each fault: the dotted key, the value found, what is allowed.
"""

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ParameterError(ValueError):
    """Something the user wrote is wrong; the message says what, where, and what is allowed."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Lattice(_Section):
    """[lattice]"""

    size: Annotated[tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)]], Field(strict=False)] = Field(
        default=(256, 256), description="sites along x (rows, cut into slabs) and y; periodic"
    )


class Epmq(_Section):
    """[model] name = "epmq": thermally activated events of random orientation (Ozawa & Biroli 2023)."""

    name: Literal["epmq"] = "epmq"
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="T, in units of stiffness * threshold ** barrier_exponent; 0 only with extremal dynamics"
    )
    elasticity: bool = Field(default=True, description="redistribute the stress of an event; off: independent sites")
    kernel: Literal["paper", "conserving"] = Field(default="paper", description="reading of the Eshelby kernel")
    barrier_exponent: Positive = Field(default=1.5, description="a in the barrier K (sigma_c - |sigma|) ** a")
    stiffness: Positive = Field(default=1.0, description="K in the barrier")
    threshold: Positive = Field(default=1.0, description="sigma_c: a site beyond it yields at rate 1")
    mean_drop: Positive = Field(default=1.0, description="z0, mean of the exponential part of a stress drop")
    shear_modulus: Positive = Field(default=1.0, description="mu: plastic strain of an event is its stress drop / mu")
    initial_stress_std: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=1.0, description="R: standard deviation of the Gaussian initial stress"
    )


class Sweep(_Section):
    """[engine] name = "sweep": windows of `window` sweeps, one redistribution each."""

    name: Literal["sweep"] = "sweep"
    window: Annotated[float, Field(gt=0, le=10)] = Field(default=0.05, description="length of a window, sweeps")
    harmonics: Annotated[int, Field(ge=1, le=16)] = Field(default=4, description="M: angular harmonics of the kernel")
    precision: Literal["double", "single"] = Field(default="double", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )


class Event(_Section):
    """[engine] name = "event": exact, event by event."""

    name: Literal["event"] = "event"
    dynamics: Literal["thermal", "extremal"] = Field(
        default="thermal", description="extremal: T -> 0+, the site with the lowest barrier fires; time counts events"
    )


class Split(_Section):
    """[engine] name = "split": near field at once, far field by transforms, row strips with their own exact clocks."""

    name: Literal["split"] = "split"
    radius: Annotated[int, Field(ge=2, le=64)] = Field(
        default=16, description="of the near field: |x|, |y| <= radius, sites"
    )
    far_tolerance: Annotated[float, Field(gt=0, le=10)] = Field(
        default=0.2, description="rms stress of the waiting far field, in units of T"
    )
    strip: Annotated[int, Field(ge=4)] = Field(default=64, description="rows of a strip, at least 2 radius")
    window: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=1.0, description="sweeps that a kick to another strip may wait"
    )
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )

    @model_validator(mode="after")
    def _strips_are_wider_than_the_near_field(self) -> "Split":
        if self.strip < 2 * self.radius:
            raise ValueError(f"strip = {self.strip}, radius = {self.radius}: strip must be at least 2 radius")
        return self


class Ferrero(_Section):
    """[model] name = "ferrero": events of finite duration and fixed orientation (Ferrero, Martens & Barrat 2014)."""

    name: Literal["ferrero"] = "ferrero"
    preset: Literal["literal", "unit-response", "fitted-activity"] = Field(
        default="literal",
        description="defaults for keys not given. unit-response: a kernel with a local response of -1, gfac = 1/abs(G(0, 0)); "
        "fitted-activity: gamma0 = 1.75, a fit to the activity of the paper",
    )
    activation: Literal["thermal", "random"] = Field(
        default="thermal", description="random: at a constant rate, stress ignored"
    )
    temperature: Positive | None = Field(default=None, description="T, in units of threshold ** 2; thermal activation only")
    activity: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="mean share of active sites; random activation only"
    )
    activity_from: str | None = Field(
        default=None, description="... or the directory of a finished run whose mean activity is taken"
    )
    gamma0: Positive = Field(default=1.0, description="Gamma_0: largest rate of activation, 1/tau")
    threshold: Positive = Field(default=1.0, description="sigma_Y: a site beyond it is activated at the rate gamma0")
    restructuring_time: Positive = Field(default=1.0, description="tau_res: mean duration of an event, tau")
    eps0: Positive = Field(default=1.0, description="epsilon_0: plastic strain of an event that lasts 2 tau")
    gfac: Positive | None = Field(
        default=None, description="factor on the stress kernel: stress rate = gfac eps0 G * n per tau (default: 1)"
    )
    ugain: Positive = Field(default=1.0, description="factor on the displacement kernel: velocity = ugain eps0 / 2 U * n")
    mean_stress: Literal[0, -1] = Field(default=0, description="G(q = 0): 0 keeps the mean stress, -1 relaxes it")
    laplacian_correction: bool = Field(default=False, description="qx^2 -> 2 - 2 cos qx in the kernels")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("preset") == "fitted-activity":
            return {"gamma0": 1.75, **values}
        return values

    @model_validator(mode="after")
    def _what_activates(self) -> "Ferrero":
        sources = ("temperature", "activity", "activity_from")
        given = {key: value for key in sources if (value := getattr(self, key)) is not None}
        allowed = {"temperature"} if self.activation == "thermal" else {"activity", "activity_from"}
        if len(given) != 1 or not set(given) <= allowed:
            found = ", ".join(f"{key} = {value!r}" for key, value in given.items()) or "nothing"
            needed = "temperature" if self.activation == "thermal" else "activity or activity_from"
            raise ValueError(f"activation = {self.activation!r}: needs {needed} and no other of {sources}, found {found}")
        return self


class Step(_Section):
    """[engine] name = "step": all sites at once, in steps of fixed length."""

    name: Literal["step"] = "step"
    time_step: Annotated[float, Field(gt=0, le=1)] = Field(default=0.1, description="dt: length of a step, tau")
    precision: Literal["double", "single"] = Field(default="single", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )


class Auto(_Section):
    """[engine] name = "auto": the cheapest of the others, measured after equilibration."""

    name: Literal["auto"] = "auto"


class Equilibrate(_Section):
    """[run] equilibrate: discard the start until one of these is reached."""

    events_per_site: Positive | None = Field(default=None, description="mean number of events per site")
    time: Positive | None = Field(default=None, description="sweeps")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Equilibrate":
        if (self.events_per_site is None) == (self.time is None):
            raise ValueError("exactly one of events_per_site and time must be given")
        return self


class Run(_Section):
    """[run]"""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="same seed, same trajectory")
    equilibrate: Equilibrate = Field(default=Equilibrate(events_per_site=10.0), description="what to discard first")
    origins: Annotated[int, Field(ge=1)] = Field(default=20, description="measurements, each from its origin of time")
    origin_events_per_site: Positive | None = Field(
        default=None,
        description="an origin lasts this many 1/Gamma, Gamma as measured in the second half of the equilibration "
        "(default: 6)",
    )
    origin_duration: Positive | None = Field(default=None, description="... or this many sweeps")
    stop_persistence: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="... or until the first lag where P(lag) is below this"
    )
    overlap: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="origins open at a time: the next begins after 1/overlap of the duration"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_end(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            ends = ("origin_events_per_site", "origin_duration", "stop_persistence")
            given = [key for key in ends if values.get(key) is not None]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} contradict each other: give one")
            if not given:
                return {**values, "origin_events_per_site": 6.0}
        return values

    @model_validator(mode="after")
    def _only_evenly_spaced_origins_overlap(self) -> "Run":
        if self.overlap > 1 and self.stop_persistence is not None:
            raise ValueError(f"overlap = {self.overlap}: origins that end by stop_persistence cannot overlap")
        return self


class StationaryEquilibrate(_Section):
    """[run] equilibrate, model "ferrero": discard the start, in which activity and stress rise over about 1 / activity."""

    time: Positive = Field(description="tau; at least 5 / activity")

    events_per_site: ClassVar[float | None] = None


class StationaryRun(_Section):
    """[run], model "ferrero": one stationary run. To the simulation it is a single origin."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="same seed, same trajectory")
    equilibrate: StationaryEquilibrate = Field(description="what to discard first")
    duration: Positive = Field(description="of the stationary run, tau")

    origins: ClassVar[int] = 1
    overlap: ClassVar[int] = 1
    stop_persistence: ClassVar[float | None] = None
    origin_events_per_site: ClassVar[float | None] = None

    @property
    def origin_duration(self) -> float:
        """The only origin lasts as long as the run."""
        return self.duration

    @model_validator(mode="before")
    @classmethod
    def _no_origins(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in values.keys() & (Run.model_fields.keys() - cls.model_fields.keys()):
                raise ValueError(f"{key} = {values[key]!r}: does not apply to model.name = 'ferrero', use duration")
        return values


class LogSchedule(_Section):
    """Lags first * 10 ** (k / per_decade), k = 0, 1, ..."""

    first: Positive = Field(default=0.1, description="first lag, sweeps")
    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=16, description="lags per factor of ten")


class Histogram(_Section):
    """[output] histogram: of the local stress, filled at every lag."""

    bins: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=320)
    limit: Positive = Field(default=4.0, description="edges run from -limit to +limit; the rest is counted as outside")


class Correlations(_Section):
    """[output] correlations: C_s(t) of the stress and C_p(t) of the plastic strain."""

    wave_number: Positive = Field(default=2 * math.pi, description="k in C_p = <cos k (gamma(t) - gamma(0))>, mu/sigma_c")


class Maps(_Section):
    """[output] four_point, clusters: of the mobility maps of every origin."""

    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=4, description="lags per factor of ten")


class Avalanches(_Section):
    """[output] avalanches: events that follow each other closely."""

    gaps: Annotated[tuple[Positive, ...], Field(strict=False)] = Field(
        default=(1.0, 10.0), description="an avalanche ends when nothing happens for so many sweeps; one analysis for each"
    )
    thresholds: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(strict=False)] = Field(
        default=(), description="extremal dynamics: it ends when 1 - abs(sigma) / sigma_c > x0 on all sites"
    )


class Output(_Section):
    """[output]"""

    lags: LogSchedule = Field(default=LogSchedule(), description="lags at which P, the series and the histogram are taken")
    snapshots: tuple[Positive, ...] = Field(
        default=(), strict=False, description="lags of every origin at which the fields are stored"
    )
    snapshot_origins: Annotated[int, Field(ge=1)] = Field(default=1, description="only the first origins store snapshots")
    first_event_maps: bool = Field(default=True, description="store the lag of the first event of every site, per origin")
    histogram: Histogram = Field(default=Histogram())
    correlations: Correlations | None = Field(default=None, description="C_s(t) and C_p(t)")
    four_point: Maps | None = Field(default=None, description="S4(q, t)")
    clusters: Maps | None = Field(default=None, description="sizes of the clusters of mobile sites")
    avalanches: Avalanches | None = Field(default=None, description="sizes, durations and extent of avalanches")
    waiting_times: bool = Field(default=False, description="times between successive events of a site")
    event_counts: bool = Field(default=False, description="map of the number of events of each site, per origin")
    checkpoint_minutes: Positive = Field(default=10.0, description="wall-clock minutes between checkpoints")


class StationaryOutput(_Section):
    """[output], model "ferrero"."""

    interval: Positive = Field(default=1.0, description="tau between entries of the series and fillings of the histogram")
    histogram: Histogram = Field(default=Histogram())
    snapshots: tuple[Positive, ...] = Field(
        default=(), strict=False, description="times since equilibration at which the fields are stored"
    )
    waiting_times: bool = Field(default=True, description="times between successive activations of a site")
    event_counts: bool = Field(default=False, description="map of the number of events of each site")
    checkpoint_minutes: Positive = Field(default=10.0, description="wall-clock minutes between checkpoints")


class Tracers(_Section):
    """[tracers]: particles that follow the displacement field; placed when equilibration ends."""

    number: Annotated[int, Field(ge=1)] = Field(description="of particles")
    placement: Literal["uniform", "sites"] = Field(
        default="uniform", description="at random, or on sites, evenly spread over the lattice"
    )
    interval: Positive | None = Field(default=None, description="tau between frames, or (default) ...")
    frames: LogSchedule | None = Field(default=None, description="... frames at log-spaced times since equilibration")

    @model_validator(mode="before")
    @classmethod
    def _one_schedule(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            if values.get("interval") is not None and values.get("frames") is not None:
                raise ValueError("interval and frames contradict each other: give one")
            if values.get("interval") is None and values.get("frames") is None:
                return {**values, "interval": 1.0}
        return values


class _Root(_Section):
    def to_toml(self) -> str:
        """The complete file, defaults filled in; reading it back gives equal parameters."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


_AnyRoot = TypeVar("_AnyRoot", bound=_Root)


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
        return _validated(FerreroParameters, {**self.model_dump(exclude_none=True), "model": model}, "model.activity_from")


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


def parse(text: str, overrides: Sequence[str] = (), source: str = "parameters") -> AnyParameters:
    """Parameters from TOML `text`, with ``section.key=value`` overrides applied on top (values are TOML as well).

    Raises
    ------
    ParameterError : one line per fault
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{source}: not valid TOML: {error}") from None
    for override in overrides:
        _apply(values, override)
    try:
        root = _root(values)
    except ParameterError as error:
        raise ParameterError(f"{source}: {error}") from None
    return _validated(root, values, source)


def _validated(root: type[_AnyRoot], values: Mapping[str, Any], source: str) -> _AnyRoot:
    try:
        return root.model_validate(values)
    except ValidationError as error:
        lines = dict.fromkeys(_describe(root, fault) for fault in error.errors())
        raise ParameterError("\n".join(f"{source}: {line}" for line in lines)) from None


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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{path}: not a text file") from None
    return parse(text, overrides, str(path))
