"""Time correlations of the local stress and plastic strain (Ozawa & Biroli 2023, SI eqs. 17 and 18).

    C_s(t) = <sum_i s_i(t) s_i(0)> / <sum_i s_i(0)^2>,     C_p(t) = <cos k (g_i(t) - g_i(0))>

Older origins may still be open when a new one begins, so each keeps the two fields of its own beginning.
"""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.schedule import LogSpaced
from mpiepm.core.sections import Positive, Section
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import Durations, Observer, Record, Setting, Variable
from mpiepm.observe.open_origins import OpenOrigins


@njit
def _row_sums(
    stress: np.ndarray, stress_0: np.ndarray, strain: np.ndarray, strain_0: np.ndarray, k: float, sums: np.ndarray
) -> None:
    """sums (2, rows): of s(t) s(0) and of cos k (g(t) - g(0)); most sites have not moved since, and the cosine is slow."""
    for i in range(stress.shape[0]):
        product, cosine = 0.0, 0.0
        for j in range(stress.shape[1]):
            product += stress[i, j] * stress_0[i, j]
            moved = strain[i, j] - strain_0[i, j]
            cosine += 1.0 if moved == 0.0 else np.cos(k * moved)
        sums[0, i], sums[1, i] = product, cosine


class CorrelationsSection(Section):
    """[output] correlations: C_s(t) of the stress and C_p(t) of the plastic strain."""

    wave_number: Positive = Field(default=2 * math.pi, description="k in C_p = <cos k (gamma(t) - gamma(0))>, mu/sigma_c")


def _lags(params: Parameters) -> LogSpaced:
    """Those of output.lags; of a stationary run, whose lags are rounded up to steps of about 0.1 tau, from 1 on."""
    lags = None if params.run.stationary else params.output.lags
    return LogSpaced(lags.first, lags.per_decade) if lags else LogSpaced(1.0, 16)


class Correlations(Observer):
    """Per origin: mean of s(t) s(0) and of the cosine at every lag, and of s(0)^2; the ratio of averages is formed offline."""

    name = "correlations"
    order = 50
    variables = (
        Variable("correlations/stress_product", ("origin", "lag"), "f8", "{stress}^2",
                 "mean over sites of stress(lag) stress(0), NaN once the origin has ended", ragged=True),
        Variable("correlations/stress_square", ("origin",), "f8", "{stress}^2", "mean over sites of stress(0)^2"),
        Variable("correlations/plastic", ("origin", "lag"), "f8", "1",
                 "C_p: mean over sites of cos k (strain(lag) - strain(0))", ragged=True),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.correlations."""
        what = "C_sigma(t) and C_p(t) from the end of equilibration" if stationary else "C_s(t) and C_p(t)"
        kind = Annotated[CorrelationsSection | None, Change.EQUILIBRATING]
        return {"correlations": (kind, Field(default=None, description=what))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Is the section there?"""
        return params.output.correlations is not None

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """For as many open origins as there can be."""
        params = setting.params
        wave_number = params.output.correlations.wave_number
        return cls(setting.domain, _lags(params), overlap=params.run.overlap, wave_number=wave_number)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """A number for each origin and lag."""
        origins, lags = params.run.origins, len(_lags(params).up_to(durations.origin))
        return {
            "correlations/lag": 8 * lags, "correlations/wave_number": 8, "correlations/stress_square": 8 * origins,
            "correlations/stress_product": 8 * origins * lags, "correlations/plastic": 8 * origins * lags,
        }  # fmt: skip

    @classmethod
    def site_bytes(cls, params: Parameters) -> int:
        """Stress and strain at the open origins."""
        return 16 * params.run.overlap

    def __init__(self, domain: Domain, lags: LogSpaced, *, overlap: int, wave_number: float) -> None:
        self.domain = domain
        self._k = wave_number
        self._open = self.schedule = OpenOrigins(overlap, lags)
        self._stress = np.zeros((overlap, *domain.local_shape))
        self._strain = np.zeros_like(self._stress)
        self._square = [0.0] * overlap
        self._values: list[list[tuple[float, float]]] = [[] for _ in range(overlap)]
        self._longest = 0

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Remember the fields at the origin."""
        slot = self._open.begin_phase(origin)
        if slot is None:
            return
        self._stress[slot], self._strain[slot] = state.stress, state.plastic_strain
        self._square[slot] = self.domain.sum_power(state.stress, 2) / self.domain.sites
        self._values[slot] = []

    def sample(self, state: State, lag: float, record: Record) -> None:
        """The lags that the open origins have reached by now."""
        for slot, age in self._open.newest_first():
            values, now = self._values[slot], None
            while self._open.lags.value(len(values)) - age <= state.time:
                now = now or self._correlate(state, slot)  # if several have passed at once, they see the same
                values.append(now)

    def _correlate(self, state: State, slot: int) -> tuple[float, float]:
        sums = np.empty((2, self.domain.local_shape[0]))
        _row_sums(state.stress, self._stress[slot], state.plastic_strain, self._strain[slot], self._k, sums)
        product, cosine = (self.domain.sum_rows(row) / self.domain.sites for row in sums)
        return product, cosine

    def end_phase(self, state: State, record: Record) -> None:
        """Record the origin that ends."""
        ended = self._open.end_phase(state.time)
        if ended is None:
            return
        slot, duration = ended
        lags = len(self._open.lags.up_to(duration))  # the rule for all observers; age by age it may be rounded otherwise
        values = np.array([*self._values[slot], self._correlate(state, slot)])[:lags]
        self._longest = max(self._longest, lags)
        record("correlations/stress_product", values[:, 0])
        record("correlations/stress_square", self._square[slot])
        record("correlations/plastic", values[:, 1])

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Fields at the open origins, and the values so far."""
        scalars = {"square": self._square, "values": self._values, "longest": self._longest, **self._open.save()}
        pairs = enumerate(zip(self._stress, self._strain, strict=True))
        return scalars, {f"{name}_{k}": f for k, pair in pairs for name, f in zip(("stress", "strain"), pair, strict=True)}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._square, self._longest = scalars["square"], scalars["longest"]
        self._values = [[(product, cosine) for product, cosine in values] for values in scalars["values"]]
        self._open.restore(scalars)
        for slot in range(self._open.overlap):
            self._stress[slot], self._strain[slot] = fields[f"stress_{slot}"], fields[f"strain_{slot}"]

    def constants(self) -> dict[str, np.ndarray]:
        """Lags and the wave number."""
        lags = np.array([self._open.lags.value(k) for k in range(self._longest)])
        return {"correlations/lag": lags, "correlations/wave_number": np.array([self._k])}
