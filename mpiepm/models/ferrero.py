"""Events of finite duration: when a site is activated and when it comes to rest (Ferrero, Martens & Barrat 2014, eq. 2).

A site at rest is activated at the rate

    thermal:  Gamma_0 min(1, exp((sigma^2 - sigma_Y^2) / (2 T))), with the sign of its stress,
    random:   a / (1 - a) / tau_res, with a random sign: then a share a of the sites is active,

and an active one comes to rest at the rate 1 / tau_res. Rates are taken as probabilities per step, p = rate dt. While a site is
active, with sign n, it deforms at the rate n epsilon_0 / 2 (per tau).

Most sites are far from sigma_Y, where p is below a bound that belongs to |sigma| = `limit`. So no site within the limit is
looked at: of each row, candidates are drawn with the probability of the bound, by the geometric law of the distance to the
next, and accepted with p / bound. That is exact. The rest, and active sites, are tested one by one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from mpiepm.core.engine_sections import Engine, Step
from mpiepm.core.jit import njit
from mpiepm.core.output_sections import StationaryOutput
from mpiepm.core.sections import Positive, Section, StationaryRun
from mpiepm.core.streams import Stream
from mpiepm.core.units import Units
from mpiepm.grid.rng import exponential, philox, uniform
from mpiepm.kernels import picard
from mpiepm.models.base import ROOM, Model
from mpiepm.models.state import State

_SITE, _CANDIDATE = int(Stream.STEP_SITE), int(Stream.STEP_CANDIDATE)
_LOOSENESS = 8.0    # bound / probability at sigma = 0: at high T, candidates are then about as many as sites beyond the limit
_LEAST_BOUND = 2e-3  # at low T: candidates cost nothing, and few sites are beyond the limit


def _skip(bound: float) -> float:
    if bound == 0.0:
        return math.inf
    return 0.0 if bound >= 1.0 else -1.0 / math.log1p(-bound)


class Ferrero(Model):
    """[model] name = "ferrero": events of finite duration and fixed orientation (Ferrero, Martens & Barrat 2014)."""

    engines: ClassVar[tuple[type[Engine], ...]] = (Step,)
    run: ClassVar[type[Section]] = StationaryRun
    output: ClassVar[type[Section]] = StationaryOutput
    has_tracers: ClassVar[bool] = True
    measured: ClassVar[Mapping[str, str]] = {"activity_from": "activity"}

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

    def rules(self, time_step: float) -> "Rules":
        """For steps of length `time_step`."""
        rest, strain = time_step / self.restructuring_time, 0.5 * self.eps0 * time_step
        if self.activation == "random":
            assert self.activity is not None
            bound = rest * self.activity / (1.0 - self.activity)
            return Rules(False, bound, 0.0, 0.0, math.inf, bound, _skip(bound), rest, strain)
        assert self.temperature is not None
        largest, exponent, square = self.gamma0 * time_step, 0.5 / self.temperature, self.threshold**2
        bound = min(largest, max(_LEAST_BOUND, _LOOSENESS * largest * math.exp(-square * exponent)))
        limit = math.inf if bound == largest else math.sqrt(max(0.0, square + math.log(bound / largest) / exponent))
        return Rules(True, largest, exponent, square, limit, bound, _skip(bound), rest, strain)

    @property
    def switch(self) -> Callable[..., tuple[int, int]]:
        """The compiled function that brings some rows one step on."""
        return switch

    def stress_kernel(self, shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """G on given wave vectors, see `kernels.picard.stress`."""
        return picard.stress(shape, kx, ky, mean_stress=self.mean_stress, laplacian_correction=self.laplacian_correction)

    def stress_rate(self, local_response: float) -> float:
        """Factor of G * n in the rate of the stress, per tau: 2 mu gfac eps0 / (2 tau), mu = tau = 1."""
        return (self.gfac or (1.0 / abs(local_response) if self.preset == "unit-response" else 1.0)) * self.eps0

    def displacement_kernel(self, shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """U on given wave vectors, see `kernels.picard.displacement`."""
        return picard.displacement(shape, kx, ky, laplacian_correction=self.laplacian_correction)

    def displacement_rate(self) -> float:
        """Factor of U * n in the velocity of a tracer, per tau."""
        return 0.5 * self.ugain * self.eps0

    def state_point(self) -> str:
        """T, or the activity where activation is random."""
        thermal = self.activation == "thermal"
        return f"T = {self.temperature:g}" if thermal else f"random activation, a = {self.activity or 0.0:g}"

    def units(self, engine: Engine) -> Units:
        """tau and sigma_Y."""
        return Units("tau", "1/tau", "sigma_Y")

    def start(self, seed: int, first_row: int, shape: tuple[int, int]) -> State:
        """No stress, all sites at rest."""
        return State(np.zeros(shape), np.zeros(shape), active=np.zeros(shape, np.int8))

    def state_fields(self) -> dict[str, str]:
        """Activity beside stress and plastic strain."""
        return {**super().state_fields(), "active": "i1"}

    def largest_mean_square(self) -> float:
        """ROOM times the squares of the threshold and of the stress that an event sends out; none for random activation."""
        if self.activation == "random":
            return math.inf
        gfac = self.gfac or (2.0 if self.preset == "unit-response" else 1.0)
        return ROOM * (self.threshold**2 + 2.0 * (gfac * self.eps0 * self.restructuring_time) ** 2)

    def busy(self) -> Model:
        """A third of the sites active."""
        return Ferrero(activation="random", activity=0.3)

    def check(self, params: Any) -> None:
        """Probabilities of a step are at most 1."""
        dt = params.engine.time_step
        if dt > self.restructuring_time:
            given = f"engine.time_step = {dt:g}, model.restructuring_time = {self.restructuring_time:g}"
            raise ValueError(f"{given}: a step must not be longer than an event")
        if self.activation == "thermal" and dt * self.gamma0 > 1.0:
            raise ValueError(f"engine.time_step = {dt:g}, model.gamma0 = {self.gamma0:g}: their product must be at most 1")
        if self.activity is not None and dt * self.activity > self.restructuring_time * (1.0 - self.activity):
            given = f"engine.time_step = {dt:g}, model.activity = {self.activity:g}"
            raise ValueError(f"{given}: the probability of activation, dt a / (1 - a) / restructuring_time, must be at most 1")



class Rules(NamedTuple):
    """Numbers of the model, for a step of given length.

    Attributes
    ----------
    thermal : else random
    largest : activation probability at and beyond the threshold
    exponent, square : 1 / (2 T) and sigma_Y^2
    limit, bound : no site with |sigma| <= limit has an activation probability above the bound
    skip : mean distance between candidates, as 1 / -ln(1 - bound); 0 if every site is one, inf if none is
    rest : probability that an active site comes to rest
    strain : plastic strain of an active site in one step
    """

    thermal: bool
    largest: float
    exponent: float
    square: float
    limit: float
    bound: float
    skip: float
    rest: float
    strain: float


@njit
def activation(stress: float, rules: Rules) -> float:
    """Probability that a site at rest is activated in one step."""
    distance = stress * stress - rules.square
    if not rules.thermal or distance >= 0.0:
        return rules.largest
    return rules.largest * math.exp(distance * rules.exponent)


@njit
def _site_uniform(seed: int, column: int, row: int, step: int, cache: np.ndarray) -> float:
    """The draw of a site; `cache` (5,) uint64 holds the four words of the group of sites that was asked for last."""
    group = column // 4
    if cache[4] != np.uint64(group + 1):
        cache[0], cache[1], cache[2], cache[3] = philox(seed, _SITE, group, row, step, 0)
        cache[4] = group + 1
    return uniform(cache[column % 4])


@njit
def switch(
    first_row: int, step: int, seed: int, rules: Rules, change: np.ndarray,
    stress: np.ndarray, active: np.ndarray, strain: np.ndarray, marks: np.ndarray, words: np.ndarray,
    found: int, row: np.ndarray, column: np.ndarray, sign: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Some rows, one step on: stress += change; then every site may switch, by its new stress and its old sign.

    Parameters
    ----------
    first_row : global index of the first of these rows;  step : number of the step, which names the draws
    change, stress, active, strain : (rows, Ly)
    marks, words : working memory, the same bytes as uint8 (8 n,) and uint64 (n,), 8 n >= Ly, zero beyond Ly
    found : events that row, column and sign (float64) hold already; they must have room for all of these sites

    Returns
    -------
    Events that row, column and sign hold now, and the change of the number of active sites.
    """
    rows, columns = stress.shape
    cache = np.zeros(5, np.uint64)
    balance = 0
    limit = rules.limit
    for i in range(rows):
        s, n = stress[i], active[i]
        for j in range(columns):
            s[j] += change[i, j]
        for j in range(columns):
            marks[j] = (abs(s[j]) > limit) | (n[j] != 0)
        cache[4] = 0
        for w in range(words.size):
            if words[w] == 0:
                continue
            for j in range(8 * w, min(8 * w + 8, columns)):
                if marks[j] == 0:
                    continue
                u = _site_uniform(seed, j, first_row + i, step, cache)
                if n[j] != 0:
                    strain[i, j] += n[j] * rules.strain
                    if u < rules.rest:
                        n[j] = 0
                        balance -= 1
                elif u < activation(s[j], rules):
                    n[j] = 1 if s[j] > 0.0 else -1
                    row[found], column[found], sign[found] = first_row + i, j, n[j]
                    found += 1
                    balance += 1
        candidate = 0
        j = -1
        while True:
            w0, w1, w2, _ = philox(seed, _CANDIDATE, candidate, first_row + i, step, 0)
            candidate += 1
            gap = exponential(w0) * rules.skip  # may exceed every integer
            if not gap < columns - 1 - j:
                break
            j += 1 + int(gap)
            if marks[j] == 0 and uniform(w1) * rules.bound < activation(s[j], rules):
                up = w2 & np.uint64(1) == np.uint64(0) if not rules.thermal or s[j] == 0.0 else s[j] > 0.0
                n[j] = 1 if up else -1
                row[found], column[found], sign[found] = first_row + i, j, n[j]
                found += 1
                balance += 1
    return found, balance
