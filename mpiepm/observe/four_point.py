"""Four-point structure factor of the mobility maps, S4(q, t) = <|sum_i (p_i(t) - P(t)) exp(-i q.r_i)|^2> / N.

For every origin and lag one distributed transform of p_i(t), read off the map of first event times; wave vectors are
averaged over shells of width 2 pi / max(Lx, Ly). P(t) is that of the origin, so nothing is left at q = 0: there chi4 is the
limit. The dynamic correlation length xi_4 follows from the shape at small q, offline.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.schedule import LogSpaced
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.grid.fft import Transform
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import Durations, Observer, Record, Setting, Variable
from mpiepm.observe.maps import Maps, lags
from mpiepm.observe.persistence import Persistence


class FourPoint(Observer):
    """S4 of every origin at the given lags."""

    name = "four_point"
    order = 60
    of_stationary = False
    variables = (
        Variable("four_point/structure_factor", ("origin", "lag", "shell"), "f8", "1",
                 "S4 averaged over the shell, NaN once the origin has ended", ragged=True),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.four_point."""
        kind = Annotated[Maps | None, Change.EQUILIBRATING]
        return {"four_point": (kind, Field(default=None, description="S4(q, t)"))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Is the section there?"""
        return params.output.four_point is not None

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Of the maps that the observer of persistence keeps."""
        persistence = setting.made["persistence"]
        assert isinstance(persistence, Persistence)
        return cls(setting.domain, lags(setting.params, setting.params.output.four_point), persistence)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """A number for each origin, lag and shell."""
        shells, origins = max(params.lattice.size) // 2, params.run.origins
        number = len(lags(params, params.output.four_point).up_to(durations.origin))
        return {
            "four_point/lag": 8 * number, "four_point/wave_number": 8 * shells, "four_point/vectors": 8 * shells,
            "four_point/structure_factor": 8 * origins * number * shells,
        }  # fmt: skip

    @classmethod
    def work_bytes(cls, params: Parameters) -> int:
        """A map, its transform, and the shell of each wave vector."""
        return 36

    def __init__(self, domain: Domain, lags: LogSpaced, persistence: Persistence) -> None:
        self.domain, self._lags, self._persistence = domain, lags, persistence
        self._transform = Transform(domain)
        self._field, self._spectrum = self._transform.empty(), self._transform.empty_spectrum()
        lx, ly = domain.shape
        qx, qy = 2 * np.pi * self._transform.kx / lx, 2 * np.pi * self._transform.ky / ly
        q = np.hypot(qx[None, :], qy[:, None])
        shells = max(domain.shape) // 2
        self._shell = np.minimum(np.rint(q * max(domain.shape) / (2 * np.pi)).astype(np.int64), shells + 1)
        self._shells = shells + 2  # with q = 0, and the corners beyond the largest shell
        self._number = self._sum(np.ones_like(q))
        self._weight = 1.0 / (np.maximum(self._number, 1.0) * domain.sites)
        self._q = self._sum(q) / np.maximum(self._number, 1.0)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Sums over the shells of values (ky of this rank, kx). Collective."""
        columns = [np.bincount(s, v, self._shells) for s, v in zip(self._shell, values, strict=True)]
        return self._transform.sum_columns(np.array(columns).reshape(-1, self._shells).T)

    def end_phase(self, state: State, record: Record) -> None:
        """Record the origin that has ended, if one has."""
        if self._persistence.closed is None:
            return
        first_time, duration = self._persistence.closed
        values = np.array([self._at(first_time, t) for t in self._lags.up_to(duration)])
        record("four_point/structure_factor", values.reshape(-1, self._shells - 2))

    def _at(self, first_time: np.ndarray, lag: float) -> np.ndarray:
        self._field[:] = first_time > lag
        immobile = int(self.domain.sum_counts(int(np.count_nonzero(self._field))))
        if immobile in (0, self.domain.sites):
            return np.zeros(self._shells - 2)
        self._transform.forward(self._field, self._spectrum)
        shells: np.ndarray = self._sum(np.abs(self._spectrum) ** 2) * self._weight
        return shells[1:-1]

    def constants(self) -> dict[str, np.ndarray]:
        """Lags; mean |q| and number of wave vectors of each shell."""
        return {
            "four_point/lag": self._lags.up_to(self._persistence.longest),
            "four_point/wave_number": self._q[1:-1],
            "four_point/vectors": self._number[1:-1],
        }
