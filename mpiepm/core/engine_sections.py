"""[engine]: the parameters of each engine (see `core.sections`)."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mpiepm.core.sections import MOST_STEPS, Section, Side


class Engine(Section):
    """[engine], of any name."""

    @property
    def extremal(self) -> bool:
        """Does time count events?"""
        return False

    @property
    def resolution(self) -> float:
        """Interval between the times at which the engine can stop; 0 if it can stop at any time."""
        return 0.0


class Sweep(Engine):
    """[engine] name = "sweep": windows of `window` sweeps, one redistribution each."""

    name: Literal["sweep"] = "sweep"
    window: Annotated[float, Field(ge=1e-6, le=10)] = Field(default=0.05, description="length of a window, sweeps")
    harmonics: Annotated[int, Field(ge=1, le=16)] = Field(default=4, description="M: angular harmonics of the kernel")
    precision: Literal["double", "single"] = Field(default="double", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )

    @property
    def resolution(self) -> float:
        """A window."""
        return self.window

    def check(self, params: Any) -> None:
        """Windows can be counted."""
        longest = max(params.run.equilibrate.time or 0.0, params.run.origin_duration or 0.0)
        if longest > MOST_STEPS * self.window:
            given = f"engine.window = {self.window:g}, run.equilibrate.time or run.origin_duration = {longest:g}"
            raise ValueError(f"{given}: must be at most {MOST_STEPS:g} windows")


class Event(Engine):
    """[engine] name = "event": exact, event by event."""

    name: Literal["event"] = "event"
    dynamics: Literal["thermal", "extremal"] = Field(
        default="thermal", description="extremal: T -> 0+, the site with the lowest barrier fires; time counts events"
    )

    @property
    def extremal(self) -> bool:
        """Does time count events?"""
        return self.dynamics == "extremal"

    @property
    def resolution(self) -> float:
        """Any time, or a whole number of events."""
        return 1.0 if self.extremal else 0.0


class Split(Engine):
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

    def check(self, params: Any) -> None:
        """The near field fits into the lattice."""
        if 2 * self.radius + 2 > min(params.lattice.size):
            given = f"lattice.size = {list(params.lattice.size)}, engine.radius = {self.radius}"
            raise ValueError(f"{given}: 2 radius + 2 must be at most the shorter side")


class Auto(Engine):
    """[engine] name = "auto": the cheapest of the others, measured after equilibration."""

    name: Literal["auto"] = "auto"

    @property
    def resolution(self) -> float:
        """That of the engine "sweep", which may be chosen."""
        return Sweep().resolution


class Step(Engine):
    """[engine] name = "step": all sites at once, in steps of fixed length."""

    name: Literal["step"] = "step"
    time_step: Annotated[float, Field(ge=1e-6, le=1)] = Field(default=0.1, description="dt: length of a step, tau")
    precision: Literal["double", "single"] = Field(default="single", description="of the transforms; stress is double")
    planning: Literal["reproducible", "measured"] = Field(
        default="reproducible", description="FFTW plans: same bits on any rank count, or fastest found on this machine"
    )

    @property
    def resolution(self) -> float:
        """A step."""
        return self.time_step

    def check(self, params: Any) -> None:
        """No interval of the output is shorter than a step."""
        between_frames = (params.tracers and params.tracers.interval) or None
        for key, interval in (("output.interval", params.output.interval), ("tracers.interval", between_frames)):
            if interval is not None and interval < self.time_step:
                given = f"{key} = {interval:g}, engine.time_step = {self.time_step:g}"
                raise ValueError(f"{given}: an interval must not be shorter than a step")
