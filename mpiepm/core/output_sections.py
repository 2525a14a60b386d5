"""[output] and [tracers]: what a run records (see `core.sections`)."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mpiepm.core.sections import Count, NotNegative, Positive, Section
from mpiepm.core.trajectory import Change


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
    """[output] of a run with origins."""

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

    def check(self, params: Any) -> None:
        """Avalanches end by what the dynamics has."""
        extremal = params.engine.extremal
        if self.avalanches and self.avalanches.thresholds and not extremal:
            raise ValueError("output.avalanches.thresholds: only with engine.dynamics = 'extremal'")
        if self.avalanches and self.avalanches.gaps and extremal:
            raise ValueError("output.avalanches.gaps: must be [] for extremal dynamics, where time counts events")


class StationaryOutput(Section):
    """[output] of a stationary run."""

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

    def check(self, params: Any) -> None:
        """There is room for them."""
        sites = params.lattice.size[0] * params.lattice.size[1]
        if self.placement == "sites" and self.number > sites:
            given = f"tracers.number = {self.number}, lattice.size = {list(params.lattice.size)}"
            raise ValueError(f"{given}: placement 'sites' has room for {sites}")
