"""Sections of a parameter file that belong to the model "ferrero" alone; see `core.sections`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mpiepm.core.sections import Correlations, Count, Histogram, LogSchedule, NotNegative, Positive, Run, Section
from mpiepm.core.trajectory import Change


class Ferrero(Section):
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


class Step(Section):
    """[engine] name = "step": all sites at once, in steps of fixed length."""

    name: Literal["step"] = "step"
    time_step: Annotated[float, Field(ge=1e-6, le=1)] = Field(default=0.1, description="dt: length of a step, tau")
    precision: Literal["double", "single"] = Field(default="single", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )


class StationaryEquilibrate(Section):
    """[run] equilibrate, model "ferrero": discard the start, in which activity and stress rise over about 1 / activity."""

    time: Positive = Field(description="tau; at least 5 / activity")

    events_per_site: ClassVar[float | None] = None


class StationaryRun(Section):
    """[run], model "ferrero": one stationary run. To the simulation it is a single origin."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="same seed, same trajectory")
    equilibrate: StationaryEquilibrate = Field(description="what to discard first")
    duration: Annotated[Positive, Change.LENGTH] = Field(description="of the stationary run, tau")

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
            for key in sorted(values.keys() & (Run.model_fields.keys() - cls.model_fields.keys())):
                raise ValueError(f"run.{key} = {values[key]!r}: does not apply to model.name = 'ferrero', use duration")
        return values


class StationaryOutput(Section):
    """[output], model "ferrero"."""

    interval: Positive = Field(default=1.0, description="tau between entries of the series and fillings of the histogram")
    histogram: Annotated[Histogram, Change.EQUILIBRATING] = Field(default=Histogram())
    snapshots: Annotated[tuple[NotNegative, ...], Change.ALWAYS] = Field(
        default=(), strict=False, description="times since equilibration at which the fields are stored, from 0 on"
    )
    correlations: Annotated[Correlations | None, Change.EQUILIBRATING] = Field(
        default=None, description="C_sigma(t) and C_p(t) from the end of equilibration"
    )
    waiting_times: Annotated[bool, Change.EQUILIBRATING] = Field(
        default=True, description="times between successive activations of a site"
    )
    event_counts: Annotated[bool, Change.EQUILIBRATING] = Field(
        default=False, description="map of the number of events of each site"
    )
    checkpoint_minutes: Annotated[Positive, Change.ALWAYS] = Field(
        default=10.0, description="wall-clock minutes between checkpoints"
    )
    keep_state: Annotated[bool, Change.ALWAYS] = Field(
        default=True, description="keep state.h5, a checkpoint of the end: what is needed to make a finished run longer"
    )


class Tracers(Section):
    """[tracers]: particles that follow the displacement field; placed when equilibration ends."""

    number: Count = Field(description="of particles")
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
