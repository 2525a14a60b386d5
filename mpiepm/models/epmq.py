"""EPM-Q: thermally activated, instantaneous events of random orientation (Ozawa & Biroli, PRL 130, 138201, 2023, eq. 1 and SI).

A site with |sigma| >= sigma_c yields at rate 1 (per sweep), any other one at the rate

    w(sigma) = exp(-dE / T),   dE = K (sigma_c - |sigma|) ** a.

An event drops the stress by  delta = (z + |sigma| - sigma_c) sgn(sigma),  z exponential with mean z0, and adds
delta / mu to the plastic strain; the site is left at sgn(sigma) (sigma_c - z). Its orientation psi is uniform in [0, pi/2).
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from mpiepm.core.sections import NotNegative, Positive
from mpiepm.grid.rng import exponential, uniform
from mpiepm.models.activated import FINEST, LARGEST_NORMAL, LONGEST, LOOSENESS, Activated
from mpiepm.models.base import ROOM


class Law(NamedTuple):
    """See `models.law`. The numbers are those of `Epmq`; stress in units of sigma_c, rates per sweep."""

    temperature: float
    threshold: float
    stiffness: float
    exponent: float
    mean_drop: float
    shear_modulus: float

    def load(self, stress: float) -> float:
        """|sigma|."""
        return abs(stress)

    def log_rate(self, load: float) -> float:
        """-dE / T; 0 at and beyond the threshold."""
        distance = self.threshold - load
        distance = distance if distance > 0.0 else 0.0
        power: float = distance**self.exponent
        return -self.stiffness / self.temperature * power

    def load_at(self, log_rate: float) -> float:
        """sigma_c - (-T log w / K) ** (1 / a)."""
        distance: float = (-log_rate * self.temperature / self.stiffness) ** (1.0 / self.exponent)
        return self.threshold - distance

    def relative(self, load: float) -> float:
        """|sigma| / sigma_c."""
        return load / self.threshold

    def event(self, stress: float, words: tuple[int, int, int, int]) -> tuple[float, float]:
        """Stress drop, against sgn(sigma) if z < sigma_c - |sigma|, and orientation."""
        drop = self.mean_drop * exponential(words[0]) + abs(stress) - self.threshold
        return drop if stress >= 0.0 else -drop, 0.5 * math.pi * uniform(words[1])


class ThreeHalves(Law):
    """The law with a = 3/2: loops over it need no power function and can be vectorised."""

    def log_rate(self, load: float) -> float:
        """-dE / T."""
        distance = self.threshold - load
        distance = distance if distance > 0.0 else 0.0
        return -self.stiffness / self.temperature * (distance * math.sqrt(distance))


class Epmq(Activated):
    """[model] name = "epmq": thermally activated events of random orientation (Ozawa & Biroli 2023)."""

    name: Literal["epmq"] = "epmq"
    temperature: NotNegative = Field(
        description="T, in units of stiffness * threshold ** barrier_exponent; 0 only with extremal dynamics"
    )
    barrier_exponent: Positive = Field(default=1.5, description="a in the barrier K (sigma_c - |sigma|) ** a")
    stiffness: Positive = Field(default=1.0, description="K in the barrier")
    threshold: Positive = Field(default=1.0, description="sigma_c: a site beyond it yields at rate 1")
    mean_drop: Positive = Field(default=1.0, description="z0, mean of the exponential part of a stress drop")
    shear_modulus: Positive = Field(default=1.0, description="mu: plastic strain of an event is its stress drop / mu")

    def law(self) -> Law:
        """The numbers of the model."""
        kind = ThreeHalves if self.barrier_exponent == 1.5 else Law
        return kind(
            self.temperature, self.threshold, self.stiffness, self.barrier_exponent, self.mean_drop, self.shear_modulus
        )

    def state_point(self) -> str:
        """T."""
        return f"T = {self.temperature:g}"

    def largest_mean_square(self) -> float:
        """ROOM (sigma_c^2 + 2 z0^2 + R^2).

        Where |sigma| >= sigma_c a site yields at rate 1, is left at sigma_c - z, and gives the others on average
        S = sum_r <G^psi(r)^2>_psi of the square of its drop, S = 0.22 ("paper") and 0.26 ("conserving"). So of V, the mean
        square of the stress, the part V' of these sites changes at most by

            dV'/dt <= (1 + S) <(sigma_c - z)^2> - V' + S <(|sigma| + z)^2>,

        and with (a + b)^2 <= 2 a^2 + 2 b^2 it settles below [(1 + S)(sigma_c^2 + 2 z0^2) + 4 S z0^2] / (1 - 2 S). The others
        are below sigma_c. Together V <= 3.7 (sigma_c^2 + 2 z0^2) on average, whatever the temperature. ROOM is eight times as
        much, which no fluctuation reaches, be the lattice of 16 sites.
        """
        return ROOM * (self.threshold**2 + 2.0 * self.mean_drop**2 + self.initial_stress_std**2)

    def barrier(self, distance: float) -> float:
        """dE at this distance from the threshold, at most the largest number."""
        with np.errstate(over="ignore"):
            return float(min(self.stiffness * np.float64(distance) ** self.barrier_exponent, np.finfo(float).max))

    def _slope(self) -> float:
        """|d(dE) / d sigma| at a typical distance from the threshold, a quarter of it; above 0."""
        typical = 0.25 * self.threshold
        return max(self.barrier_exponent * (self.barrier(typical) / typical), np.finfo(float).tiny)

    def typical_drop(self) -> float:
        """z0."""
        return self.mean_drop

    def stress_scale(self) -> float:
        """T / (K sigma_c ** (a - 1))."""
        scale: float = self.temperature / (self.stiffness * self.threshold ** (self.barrier_exponent - 1.0))
        return scale

    def margin(self) -> float:
        """By how much |sigma| may rise before the bound of its rate fails: LOOSENESS T / slope.

        For a < 1 the slope is largest close to the threshold: there the margin is at most the distance at which dE = T.
        """
        usual = LOOSENESS * self.temperature / self._slope()
        if self.barrier_exponent >= 1.0:
            return usual
        return min(usual, float((self.temperature / self.stiffness) ** (1.0 / self.barrier_exponent)))

    def lowest_temperature(self) -> float:
        """The T whose `margin` is FINEST times the threshold.

        Limits of |sigma| are kept in single precision (`engine.bounds`), with a relative error of 2^-24. With a smaller margin
        a limit could be rounded below the very stress that it is for, and the bound would be wrong.
        """
        finest = FINEST * self.threshold
        usual = finest * self._slope() / LOOSENESS
        return usual if self.barrier_exponent >= 1.0 else max(usual, self.barrier(finest))

    def log_first_wait(self, sites: int) -> float:
        """Lower bound of the logarithm of the mean time, sweeps, before the first event.

        No initial |sigma| is above s = 8.58 R, so no rate is above w(s), and the mean time is at least 1 / (sites w(s)).
        """
        distance = max(self.threshold - LARGEST_NORMAL * self.initial_stress_std, 0.0)
        return self.barrier(distance) / self.temperature - math.log(sites)

    def check(self, params: Any) -> None:
        """Temperature 0 is for extremal dynamics alone; at any other one times can be counted."""
        temperature, extremal = self.temperature, params.engine.extremal
        given = f"model.temperature = {temperature:g}"
        if extremal != (temperature == 0):
            given += f", engine.dynamics = {'extremal' if extremal else 'thermal'!r}"
            raise ValueError(f"{given}: must be temperature 0 for extremal dynamics, above 0 for thermal")
        if extremal:
            return
        lowest = self.lowest_temperature()
        if params.engine.name != "sweep" and temperature < lowest:
            what = f"at least {lowest:.3g}, or 0 with extremal dynamics"
            raise ValueError(f"{given}, engine.name = {params.engine.name!r}: must be {what}")
        wait, longest = self.log_first_wait(params.lattice.size[0] * params.lattice.size[1]), math.log(LONGEST)
        if wait > longest:
            given += f", model.initial_stress_std = {self.initial_stress_std:g}"
            raise ValueError(f"{given}: exp({wait:.4g}) sweeps before the first event, must be at most exp({longest:.0f})")
