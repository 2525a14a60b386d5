"""Sections of a parameter file that any model may have: what a section is, [lattice] and [run].

Others are in `core.engine_sections` and `core.output_sections`, and [model] is a class of `models`. Every key, its default and
its meaning stand there. The descriptions are part of the data; docs/parameters.md lists them for people.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpiepm.core.trajectory import Change

LARGEST = 1e100  # of any number: its cube is one as well
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Side = Annotated[int, Field(ge=4, le=2**20)]
MOST_STEPS = 1e15  # that floating-point numbers can count


class Section(BaseModel):
    """Unknown keys are faults, values have the right type, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    def check(self, params: Any) -> None:
        """Compare with the other sections of `params` (`models.parameters.Parameters`).

        Raises
        ------
        ValueError : if they do not fit together; the message begins with the keys and their values
        """


class Lattice(Section):
    """[lattice]"""

    size: Annotated[tuple[Side, Side], Field(strict=False)] = Field(
        default=(256, 256), description="sites along x (rows, cut into slabs) and y; periodic"
    )


class Equilibrate(Section):
    """[run] equilibrate: discard the start until one of these is reached."""

    events_per_site: Positive | None = Field(default=None, description="mean number of events per site")
    time: Positive | None = Field(default=None, description="sweeps")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Equilibrate":
        if (self.events_per_site is None) == (self.time is None):
            raise ValueError("exactly one of events_per_site and time must be given")
        return self


class Run(Section):
    """[run]: measurements from many origins of time."""

    stationary: ClassVar[bool] = False

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="same seed, same trajectory")
    equilibrate: Equilibrate = Field(default=Equilibrate(events_per_site=10.0), description="what to discard first")
    origins: Annotated[Count, Change.LENGTH] = Field(default=20, description="measurements, each from its origin of time")
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


class StationaryEquilibrate(Section):
    """[run] equilibrate, of a stationary run: discard the start."""

    time: Positive = Field(description="tau; at least 5 / activity")

    events_per_site: ClassVar[float | None] = None


class StationaryRun(Section):
    """[run]: one stationary run, whose only origin is the end of the equilibration."""

    stationary: ClassVar[bool] = True

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="same seed, same trajectory")
    equilibrate: StationaryEquilibrate = Field(description="what to discard first")
    duration: Annotated[Positive, Change.LENGTH] = Field(description="of the stationary run, tau")

    origins: ClassVar[int] = 1
    overlap: ClassVar[int] = 1
    stop_persistence: ClassVar[float | None] = None
    origin_events_per_site: ClassVar[float | None] = None

    @property
    def total_time(self) -> float:
        """Of equilibration and measurement."""
        return self.equilibrate.time + self.duration

    @property
    def origin_duration(self) -> float:
        """The only origin lasts as long as the run."""
        return self.duration

    @model_validator(mode="before")
    @classmethod
    def _no_origins(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in sorted(values.keys() & (Run.model_fields.keys() - cls.model_fields.keys())):
                raise ValueError(f"run.{key} = {values[key]!r}: does not apply to a stationary run, use duration")
        return values

    def check(self, params: Any) -> None:
        """The run lasts an interval of the output, and no more steps than can be counted."""
        step = params.engine.time_step
        if params.output.interval > self.duration:
            given = f"output.interval = {params.output.interval:g}, run.duration = {self.duration:g}"
            raise ValueError(f"{given}: the run must last at least one interval")
        longest = self.total_time
        if longest > MOST_STEPS * step:
            given = f"engine.time_step = {step:g}, run.equilibrate.time + run.duration = {longest:g}"
            raise ValueError(f"{given}: must be at most {MOST_STEPS:g} steps")
