"""Models whose sites yield at a rate of their own stress, at once: what the engines sweep, event, split and extremal need.

A model of this kind has a `law` (`models.law`); all else follows from it, unless the model knows better.
"""

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mpiepm.core.engine_sections import Auto, Engine, Event, Split, Sweep
from mpiepm.core.sections import NotNegative
from mpiepm.core.streams import Stream
from mpiepm.core.units import Units
from mpiepm.grid.rng import standard_normal
from mpiepm.kernels.eshelby import Eshelby
from mpiepm.kernels.harmonics import Kernel
from mpiepm.models.base import ROOM, Model
from mpiepm.models.law import Law
from mpiepm.models.state import State

LONGEST = 1e290       # sweeps that an engine may wait for one event: sums and quotients of such times are still numbers
LOOSENESS = 1.0       # a margin raises the logarithm of a rate by about this much, where sites are active
FINEST = 2.0**-20     # margin over threshold, at least: 8 steps of single precision
LARGEST_NORMAL = math.sqrt(2.0 * 53.0 * math.log(2.0))  # of `grid.rng.standard_normal`: Box and Muller with 53 bits
_TYPICAL_BARRIER = 0.15  # of all sites, over that of one without load: 1 / Gamma is about exp of it over T
_MOST_SINGLE = 400.0  # -log rate of an unloaded site; a third of it, about that of 1 / Gamma, is then beyond single precision


class Activated(Model):
    """[model] of any model with a law. Stress in units of the largest threshold, time in sweeps."""

    engines: ClassVar[tuple[type[Engine], ...]] = (Sweep, Event, Split, Auto)

    elasticity: bool = Field(default=True, description="redistribute the stress of an event; off: independent sites")
    kernel: Literal["paper", "conserving"] = Field(default="paper", description="reading of the Eshelby kernel")
    initial_stress_std: NotNegative = Field(
        default=1.0, description="R: standard deviation of the Gaussian initial stress"
    )

    def law(self) -> Law:
        """Numbers and methods of a site."""
        raise NotImplementedError

    def response(self) -> Kernel:
        """The kernel by which other sites feel an event."""
        return Eshelby(self.kernel)

    def units(self, engine: Engine) -> Units:
        """Sweeps; where dynamics are extremal time counts events."""
        return Units("events", "1/event", "sigma_c") if engine.extremal else Units("sweeps", "1/sweep", "sigma_c")

    def start(self, seed: int, first_row: int, shape: tuple[int, int]) -> State:
        """Gaussian stress, no plastic strain."""
        stress = standard_normal(seed, Stream.INITIAL_STRESS, first_row, shape)
        return State(stress * self.initial_stress_std, np.zeros(shape))

    def largest_mean_square(self) -> float:
        """ROOM times the squares of the load of an unstable site, of the initial stress, and of a drop from there."""
        threshold = self.law().load_at(0.0)
        return ROOM * (3.0 * threshold**2 + self.initial_stress_std**2)

    def typical_drop(self) -> float:
        """Of the stress in an event: the load of an unstable site."""
        return self.law().load_at(0.0)

    def stress_scale(self) -> float:
        """Stress by which a rate changes by about a factor e: 1 / |d log_rate / d load| at 3/4 of the threshold."""
        law = self.law()
        load, step = 0.75 * law.load_at(0.0), 1e-6 * law.load_at(0.0)
        return 2.0 * step / (law.log_rate(load + step) - law.log_rate(load - step))

    def margin(self) -> float:
        """By how much a load may rise before the bound of its rate fails (`engine.bounds`)."""
        return LOOSENESS * self.stress_scale()

    def reduced_temperature(self) -> float:
        """T over the barrier of a site without load: -1 / log rate."""
        return -1.0 / self.law().log_rate(0.0)

    def mean_time(self) -> float:
        """Guess of 1 / Gamma, sweeps, for forecasts."""
        return math.exp(min(_TYPICAL_BARRIER / self.reduced_temperature(), math.log(LONGEST)))

    def check(self, params: Any) -> None:
        """Bounds of rates can be told from the loads that they are for, and times can be counted."""
        if params.engine.extremal:
            return
        law = self.law()
        threshold = law.load_at(0.0)
        if params.engine.name != "sweep" and self.margin() < FINEST * threshold:
            given = f"model.name = {params.model.name!r}, engine.name = {params.engine.name!r}"
            raise ValueError(f"{given}: rates change by a factor e over {self.margin():.3g}, must be {FINEST * threshold:.3g}")
        sites = params.lattice.size[0] * params.lattice.size[1]
        wait = -law.log_rate(LARGEST_NORMAL * self.initial_stress_std) - math.log(sites)
        if wait > math.log(LONGEST):
            given = f"model.name = {params.model.name!r}, model.initial_stress_std = {self.initial_stress_std:g}"
            most = f"must be at most exp({math.log(LONGEST):.0f})"
            raise ValueError(f"{given}: exp({wait:.4g}) sweeps before the first event, {most}")

    def single_precision_suffices(self) -> bool:
        """For the lags of first events: none beyond 3e38?"""
        return -self.law().log_rate(0.0) <= _MOST_SINGLE
