"""A model of one's own in one file: a barrier that is linear in the stress, and events of fixed orientation.

    mpiepm run --import examples/own_model.py examples/own_model.toml --out results/linear

A site with |sigma| >= sigma_c yields at rate 1, any other one at the rate exp(-(sigma_c - |sigma|) / T). An event leaves the
site an exponentially distributed distance from sigma_c, as in EPM-Q, and acts on the others as a plastic shear along x.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from mpiepm.core.sections import Positive
from mpiepm.grid.rng import exponential
from mpiepm.models.activated import Activated


class Law(NamedTuple):
    """What the engines compile; see `mpiepm.models.law`. Stress in units of sigma_c, rates per sweep."""

    temperature: float
    mean_drop: float
    shear_modulus: float

    def load(self, stress: float) -> float:
        """|sigma|."""
        return abs(stress)

    def log_rate(self, load: float) -> float:
        """-(sigma_c - |sigma|) / T, at most 0."""
        return -(1.0 - load if load < 1.0 else 0.0) / self.temperature

    def load_at(self, log_rate: float) -> float:
        """sigma_c + T log w."""
        return 1.0 + self.temperature * log_rate

    def relative(self, load: float) -> float:
        """|sigma| / sigma_c."""
        return load

    def event(self, stress: float, words: tuple[int, int, int, int]) -> tuple[float, float]:
        """Stress drop and orientation."""
        drop = self.mean_drop * exponential(words[0]) + abs(stress) - 1.0
        return drop if stress >= 0.0 else -drop, 0.0


class Linear(Activated):
    """[model] name = "linear"."""

    name: Literal["linear"] = "linear"
    temperature: Positive = Field(description="T, in units of sigma_c; extremal dynamics is the limit 0")
    mean_drop: Positive = Field(default=1.0, description="mean of the exponential part of a stress drop")
    shear_modulus: Positive = Field(default=1.0, description="mu: plastic strain of an event is its stress drop / mu")

    def law(self) -> Law:
        """The numbers of the model."""
        return Law(self.temperature, self.mean_drop, self.shear_modulus)
