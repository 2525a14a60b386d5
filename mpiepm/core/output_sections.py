"""[output] and [tracers]: what a run records (see `core.sections`). The keys of each observer are in its own file."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mpiepm.core.sections import Count, Positive, Section
from mpiepm.core.trajectory import Change


class LogSchedule(Section):
    """Lags first * 10 ** (k / per_decade), k = 0, 1, ..."""

    first: Positive = Field(default=0.1, description="first lag, sweeps")
    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=16, description="lags per factor of ten")


class Saving(Section):
    """[output] of any run."""

    checkpoint_minutes: Annotated[Positive, Change.ALWAYS] = Field(
        default=10.0, description="wall-clock minutes between checkpoints"
    )
    keep_state: Annotated[bool, Change.ALWAYS] = Field(
        default=True, description="keep state.h5, a checkpoint of the end: what is needed to make a finished run longer"
    )


class Output(Saving):
    """[output] of a run with origins."""

    lags: LogSchedule = Field(default=LogSchedule(), description="lags at which P, the series and the histogram are taken")


class StationaryOutput(Saving):
    """[output] of a stationary run."""

    interval: Positive = Field(default=1.0, description="tau between entries of the series and fillings of the histogram")


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
