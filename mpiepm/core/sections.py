"""Sections of a parameter file: every key, its default and its meaning stand here (EPM-Q) and in `core.ferrero_sections`.

The descriptions are part of the data; docs/parameters.md lists them for people.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpiepm.core.trajectory import Change

LARGEST = 1e100  # of any number: its cube is one as well
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Side = Annotated[int, Field(ge=4, le=2**20)]


class Section(BaseModel):
    """Unknown keys are faults, values have the right type, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Lattice(Section):
    """[lattice]"""

    size: Annotated[tuple[Side, Side], Field(strict=False)] = Field(
        default=(256, 256), description="sites along x (rows, cut into slabs) and y; periodic"
    )


class Epmq(Section):
    """[model] name = "epmq": thermally activated events of random orientation (Ozawa & Biroli 2023)."""

    name: Literal["epmq"] = "epmq"
    temperature: NotNegative = Field(
        description="T, in units of stiffness * threshold ** barrier_exponent; 0 only with extremal dynamics"
    )
    elasticity: bool = Field(default=True, description="redistribute the stress of an event; off: independent sites")
    kernel: Literal["paper", "conserving"] = Field(default="paper", description="reading of the Eshelby kernel")
    barrier_exponent: Positive = Field(default=1.5, description="a in the barrier K (sigma_c - |sigma|) ** a")
    stiffness: Positive = Field(default=1.0, description="K in the barrier")
    threshold: Positive = Field(default=1.0, description="sigma_c: a site beyond it yields at rate 1")
    mean_drop: Positive = Field(default=1.0, description="z0, mean of the exponential part of a stress drop")
    shear_modulus: Positive = Field(default=1.0, description="mu: plastic strain of an event is its stress drop / mu")
    initial_stress_std: NotNegative = Field(
        default=1.0, description="R: standard deviation of the Gaussian initial stress"
    )


class Sweep(Section):
    """[engine] name = "sweep": windows of `window` sweeps, one redistribution each."""

    name: Literal["sweep"] = "sweep"
    window: Annotated[float, Field(ge=1e-6, le=10)] = Field(default=0.05, description="length of a window, sweeps")
    harmonics: Annotated[int, Field(ge=1, le=16)] = Field(default=4, description="M: angular harmonics of the kernel")
    precision: Literal["double", "single"] = Field(default="double", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )


class Event(Section):
    """[engine] name = "event": exact, event by event."""

    name: Literal["event"] = "event"
    dynamics: Literal["thermal", "extremal"] = Field(
        default="thermal", description="extremal: T -> 0+, the site with the lowest barrier fires; time counts events"
    )


class Split(Section):
    """[engine] name = "split": near field at once, far field by transforms, row strips with their own exact clocks."""

    name: Literal["split"] = "split"
    radius: Annotated[int, Field(ge=2, le=64)] = Field(
        default=16, description="of the near field: |x|, |y| <= radius, sites"
    )
    far_tolerance: Annotated[float, Field(ge=1e-6, le=10)] = Field(
        default=0.2, description="rms stress of the waiting far field, in units of T / (K sigma_c ** (a - 1))"
    )
    strip: Side = Field(default=64, description="rows of a strip, at least 2 radius")
    window: Annotated[float, Field(ge=1e-6, le=1000)] = Field(
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


class Auto(Section):
    """[engine] name = "auto": the cheapest of the others, measured after equilibration."""

    name: Literal["auto"] = "auto"


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
    """[run]"""

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


class LogSchedule(Section):
    """Lags first * 10 ** (k / per_decade), k = 0, 1, ..."""

    first: Positive = Field(default=0.1, description="first lag, sweeps")
    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=16, description="lags per factor of ten")


class Histogram(Section):
    """[output] histogram: of the local stress, filled at every lag."""

    bins: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=320)
    limit: Positive = Field(default=4.0, description="edges run from -limit to +limit; the rest is counted as outside")


class Correlations(Section):
    """[output] correlations: C_s(t) of the stress and C_p(t) of the plastic strain."""

    wave_number: Positive = Field(default=2 * math.pi, description="k in C_p = <cos k (gamma(t) - gamma(0))>, mu/sigma_c")


class Maps(Section):
    """[output] four_point, clusters: of the mobility maps of every origin."""

    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=4, description="lags per factor of ten")


class Avalanches(Section):
    """[output] avalanches: events that follow each other closely."""

    gaps: Annotated[tuple[Positive, ...], Field(strict=False)] = Field(
        default=(1.0, 10.0), description="an avalanche ends when nothing happens for so many sweeps; one analysis for each"
    )
    thresholds: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(strict=False)] = Field(
        default=(), description="extremal dynamics: it ends when 1 - abs(sigma) / sigma_c > x0 on all sites"
    )


class Output(Section):
    """[output]"""

    lags: LogSchedule = Field(default=LogSchedule(), description="lags at which P, the series and the histogram are taken")
    snapshots: Annotated[tuple[NotNegative, ...], Change.ALWAYS] = Field(
        default=(), strict=False, description="lags of every origin at which the fields are stored; 0: the state at the origin"
    )
    snapshot_origins: Annotated[Count, Change.ALWAYS] = Field(default=1, description="only the first origins store snapshots")
    first_event_maps: Annotated[bool, Change.EQUILIBRATING] = Field(
        default=True, description="store the lag of the first event of every site, per origin"
    )
    histogram: Annotated[Histogram, Change.EQUILIBRATING] = Field(default=Histogram())
    correlations: Annotated[Correlations | None, Change.EQUILIBRATING] = Field(default=None, description="C_s(t) and C_p(t)")
    four_point: Annotated[Maps | None, Change.EQUILIBRATING] = Field(default=None, description="S4(q, t)")
    clusters: Annotated[Maps | None, Change.EQUILIBRATING] = Field(
        default=None, description="sizes of the clusters of mobile sites"
    )
    avalanches: Annotated[Avalanches | None, Change.EQUILIBRATING] = Field(
        default=None, description="sizes, durations and extent of avalanches"
    )
    waiting_times: Annotated[bool, Change.EQUILIBRATING] = Field(
        default=False, description="times between successive events of a site"
    )
    event_counts: Annotated[bool, Change.EQUILIBRATING] = Field(
        default=False, description="map of the number of events of each site, per origin"
    )
    checkpoint_minutes: Annotated[Positive, Change.ALWAYS] = Field(
        default=10.0, description="wall-clock minutes between checkpoints"
    )
    keep_state: Annotated[bool, Change.ALWAYS] = Field(
        default=True, description="keep state.h5, a checkpoint of the end: what is needed to make a finished run longer"
    )
