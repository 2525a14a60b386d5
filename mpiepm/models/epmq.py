"""EPM-Q: thermally activated, instantaneous events of random orientation (Ozawa & Biroli, PRL 130, 138201, 2023, eq. 1 and SI).

A site with |sigma| >= sigma_c yields at rate 1 (per sweep), any other one at the rate

    w(sigma) = exp(-dE / T),   dE = K (sigma_c - |sigma|) ** a.

An event drops the stress by  delta = (z + |sigma| - sigma_c) sgn(sigma),  z exponential with mean z0, and adds
delta / mu to the plastic strain; the site is left at sgn(sigma) (sigma_c - z). Its orientation psi is uniform in [0, pi/2).
"""

import math
from typing import NamedTuple

from mpiepm.core.sections import Epmq
from mpiepm.grid.rng import exponential, uniform


class Law(NamedTuple):
    """See `models.law`. The numbers are those of `core.sections.Epmq`; stress in units of sigma_c, rates per sweep."""

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


def law(model: Epmq) -> Law:
    """The numbers of the model."""
    kind = ThreeHalves if model.barrier_exponent == 1.5 else Law
    return kind(
        model.temperature, model.threshold, model.stiffness, model.barrier_exponent, model.mean_drop, model.shear_modulus
    )
