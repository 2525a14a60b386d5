"""Data collapse: do the values of all sizes and temperatures lie on one curve, and with which exponents?

    y(T, L) = L^a (1 + b L^-omega) f((T - T_c) L^(1/nu))

T_c = 0 is the zero-temperature fixed point: the argument is then a power of L / xi, xi ~ T^-nu, and f is taken on logarithmic
scales; with another T_c it is linear in T. b is 0 unless it is set free: one correction to scaling.

The quality of a collapse is that of Houdayer & Hartmann (Phys. Rev. B 70, 014418, 2004, after Kawashima & Ito 1993),

    S = 1/M sum_i (y_i - Y_i)^2 / (dy_i^2 + dY_i^2),

with y the scaled values, in natural logarithms, and Y +- dY the master curve at the same abscissa: the straight line, fitted
with weights 1 / dy^2, through the two nearest points, one on either side, of every other size that has points on both sides. M
points have such a Y. S is about 1 where the data collapse within their errors. How far above 1 chance can bring it depends on
the points: so a parametric bootstrap draws replicas, from a smooth master curve (a polynomial) with the errors of the data, and
fits them as the data were fitted. The spread of their exponents is the error of the exponents; the share of
them whose S is at least that of the data is the `probability` of the collapse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.optimize import minimize

from mpiepm.analysis.errors import Estimate
from mpiepm.core.jit import njit
from mpiepm.core.params import ParameterError

PARAMETERS = ("a", "inverse_nu", "T_c", "b", "omega")
UNLIKELY = 0.01  # probability below which there is no collapse
POOR = 3.0  # S above which there is none, however likely: the points are too far apart to draw a curve through
_FIXED = np.array([0.0, 1.0, 0.0, 0.0, 1.0])  # what a parameter is unless it is free or given
_LOWEST = np.array([-6.0, -1.0, 0.0, -np.inf, 0.1])
_HIGHEST = np.array([6.0, 10.0, np.inf, np.inf, 10.0])
_COMPARED = 8  # points at least, and half of them
_STARTS = 3  # trials from which the best collapse is sought further


@dataclass(frozen=True)
class Points:
    """Values at sizes and temperatures: four float64 arrays (point,), lengths in sites; values and errors positive."""

    length: np.ndarray
    temperature: np.ndarray
    value: np.ndarray
    error: np.ndarray

    def where(self, kept: np.ndarray) -> "Points":
        """Those chosen by a bool (point,)."""
        return Points(self.length[kept], self.temperature[kept], self.value[kept], self.error[kept])

    def usable(self) -> "Points":
        """Those that have a logarithm with a finite error."""
        return self.where(np.isfinite(self.value) & np.isfinite(self.error) & (self.value > 0.0) & (self.error > 0.0))


@dataclass(frozen=True)
class Collapse:
    """The best collapse of some points.

    Attributes
    ----------
    values : float64 (5,), in the order of `PARAMETERS`;  free : places of those that were sought
    quality, compared : S, and the number M of points that it compares
    probability : that points which do collapse have so large an S
    replicas : float64 (replica, 5), the parameters found for points that do collapse
    """

    points: Points
    values: np.ndarray
    free: tuple[int, ...]
    quality: float
    compared: int
    probability: float
    replicas: np.ndarray = field(repr=False)

    @property
    def holds(self) -> bool:
        """Is S no larger than chance can make it, and small?"""
        return not self.objection

    @property
    def objection(self) -> str:
        """Why this is no collapse, for people; empty if it is one. Both S and its probability must be good."""
        if self.probability < UNLIKELY:
            return f"chance makes S so large with a probability below {UNLIKELY:g}"
        if self.quality > POOR:
            return f"with S above {POOR:g} the points are too far apart for one curve, likely as that S may be"
        return ""

    @property
    def parameters(self) -> dict[str, Estimate]:
        """The free parameters with their standard errors."""
        return {PARAMETERS[k]: Estimate(float(self.values[k]), _spread(self.replicas[:, k])) for k in self.free}

    @property
    def gamma(self) -> Estimate:
        """a nu: y ~ T^-gamma where L >> xi, if T_c = 0; NaN if 1 / nu is not known to differ from 0."""
        a, inverse_nu, *_ = self.replicas.T
        if self.values[1] < 2.0 * _spread(inverse_nu):
            return Estimate(float("nan"), float("nan"))
        return Estimate(float(self.values[0] / self.values[1]), _spread(a / inverse_nu))

    def scaled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Abscissa, value and error of every point (point,): T L^(1/nu), or with T - T_c, and y L^-a / (1 + b L^-omega)."""
        x, y = _scaled(self.points.length, self.points.temperature, self.points.value, self.values)
        return (np.exp(x) if self.values[2] == 0.0 else x), np.exp(y), np.exp(y) * self.points.error / self.points.value


def collapse(
    points: Points, free: Sequence[str] = ("a", "inverse_nu"), given: dict[str, float] | None = None,
    replicas: int = 200, seed: int = 0,
) -> Collapse:  # fmt: skip
    """The best collapse that the `free` parameters allow, the others as `given`, else T_c = b = 0; `seed` is of the replicas.

    Raises
    ------
    ParameterError : if a parameter is not one of `PARAMETERS`, or the points are too few or at too different abscissas
    """
    for name in (*free, *(given or {})):
        if name not in PARAMETERS:
            raise ParameterError(f"{name}: is no parameter of a collapse, must be one of {', '.join(PARAMETERS)}")
    points = points.usable()
    if len(np.unique(points.length)) < 2:
        raise ParameterError("a collapse needs at least two sizes")
    if (there := len(points.value)) < _COMPARED:
        raise ParameterError(f"a collapse needs at least {_COMPARED} points, there are {there}")
    places = [PARAMETERS.index(name) for name in free]
    trials = _trials(points, places, given or {})
    best = _fit(points, places, trials)
    quality, compared = (float(found[0]) for found in qualities(points, best))
    x, y = _scaled(points.length, points.temperature, points.value, best)
    dy = points.error / points.value
    curve = np.polynomial.Polynomial.fit(x, y, min(4, len(x) // 4), w=1.0 / dy)(x)
    rng = np.random.default_rng(seed)
    drawn, larger = np.empty((replicas, len(PARAMETERS))), 0
    for k in range(replicas):
        change = np.exp(curve - y + dy * rng.standard_normal(len(y)))
        replica = Points(points.length, points.temperature, points.value * change, points.error * change)
        drawn[k] = _fit(replica, places, trials)
        larger += qualities(replica, drawn[k])[0][0] >= quality
    return Collapse(points, best, tuple(places), quality, int(compared), (larger + 1) / (replicas + 1), drawn)


def _trials(points: Points, free: list[int], given: dict[str, float]) -> np.ndarray:
    """Sets of parameters (trial, 5) on a grid of the free ones."""
    hottest, coldest = points.temperature.max(), points.temperature.min()
    grids = [np.linspace(-1.0, 3.0, 13), np.linspace(0.0, 3.0, 13)[1:], np.geomspace(0.3 * coldest, hottest, 10)]
    grids += [np.zeros(1), np.ones(1)]  # of b and omega
    rest = [np.array([given.get(name, fixed)]) for name, fixed in zip(PARAMETERS, _FIXED, strict=True)]
    return np.asarray(list(product(*(grids[k] if k in free else rest[k] for k in range(len(PARAMETERS))))))


@njit
def _master(
    size: np.ndarray, x: np.ndarray, y: np.ndarray, dy: np.ndarray, sizes: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Y and dY (point,) at every point, NaN where no other size encloses it; `size` numbers the sizes, 0 ... sizes - 1."""
    n = len(x)
    value, error = np.full(n, np.nan), np.full(n, np.nan)
    below, above = np.empty(sizes, np.int64), np.empty(sizes, np.int64)
    for i in range(n):
        below[:], above[:] = -1, -1
        for j in range(n):
            s = size[j]
            if s == size[i]:
                continue
            if x[j] <= x[i]:
                if below[s] < 0 or x[j] > x[below[s]]:
                    below[s] = j
            elif above[s] < 0 or x[j] < x[above[s]]:
                above[s] = j
        w0 = w1 = w2 = v0 = v1 = 0.0  # sums of w, w u, w u^2, w y, w u y; u = x - x_i, so that the line is wanted at 0
        for s in range(sizes):
            if below[s] >= 0 and above[s] >= 0:
                for j in (below[s], above[s]):
                    u, w = x[j] - x[i], 1.0 / dy[j] ** 2
                    w0, w1, w2, v0, v1 = w0 + w, w1 + w * u, w2 + w * u * u, v0 + w * y[j], v1 + w * u * y[j]
        if w0 > 0.0:
            determinant = w0 * w2 - w1 * w1
            value[i], error[i] = (w2 * v0 - w1 * v1) / determinant, np.sqrt(w2 / determinant)
    return value, error


@njit
def _scaled(
    length: np.ndarray, temperature: np.ndarray, value: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Abscissa and ln of the scaled value, each (point,); the parameters (5,) are in the order of `PARAMETERS`."""
    a, inverse_nu, critical, b, omega = parameters
    y = np.log(value) - a * np.log(length) - np.log(1.0 + b * length**-omega)
    if critical == 0.0:
        return np.log(temperature) + inverse_nu * np.log(length), y
    return (temperature - critical) * length**inverse_nu, y


@njit
def _qualities(
    size: np.ndarray, length: np.ndarray, temperature: np.ndarray, value: np.ndarray, error: np.ndarray, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """S and M of every set of parameters (trial, 5)."""
    quality, compared = np.full(len(trials), np.inf), np.zeros(len(trials), np.int64)
    dy = error / value
    for t in range(len(trials)):
        x, y = _scaled(length, temperature, value, trials[t])
        master, spread = _master(size, x, y, dy, size.max() + 1)
        total = 0.0
        for i in range(len(x)):
            if np.isfinite(master[i]):
                compared[t] += 1
                total += (y[i] - master[i]) ** 2 / (dy[i] ** 2 + spread[i] ** 2)
        if compared[t] > 0:
            quality[t] = total / compared[t]
    return quality, compared


def qualities(points: Points, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S (trial,) and M (trial,) of sets of parameters, float64 (trial, 5) in the order of `PARAMETERS`."""
    size = np.unique(points.length, return_inverse=True)[1]
    return _qualities(size, points.length, points.temperature, points.value, points.error, np.atleast_2d(trials))


def _fit(points: Points, free: list[int], trials: np.ndarray) -> np.ndarray:
    """The parameters (5,) of the smallest S to which the best `trials` (trial, 5) lead, where enough points are compared.

    Without that limit the best collapse would be the one that compares nothing. S is rough: so there are many trials.
    """

    def allowed(trials: np.ndarray) -> np.ndarray:
        quality, compared = qualities(points, trials)
        inside = ((trials >= _LOWEST) & (trials <= _HIGHEST)).all(axis=1)
        return np.where(inside & (compared >= max(_COMPARED, len(points.value) / 2)), quality, np.inf)

    def objective(p: np.ndarray) -> float:
        trial = start.copy()
        trial[free] = p
        return float(allowed(trial[None])[0])

    reached = allowed(trials)
    if not np.isfinite(reached).any():
        raise ParameterError("no collapse can be tried: the temperatures of different sizes do not overlap enough")
    found = []
    for start in trials[np.argsort(reached)[: min(_STARTS, np.isfinite(reached).sum())]]:
        simplex = start[free] + np.vstack([np.zeros(len(free)), np.diag(_steps(points)[free])])
        options = {"xatol": 1e-3, "fatol": 1e-3, "initial_simplex": simplex}
        result = minimize(objective, start[free], method="Nelder-Mead", options=options)
        best = start.copy()
        best[free] = result.x
        found.append((float(result.fun), best))
    lowest: np.ndarray = min(found, key=lambda f: f[0])[1]
    return lowest


def _steps(points: Points) -> np.ndarray:
    """First steps of the search (5,)."""
    return np.asarray([0.1, 0.1, 0.1 * float(points.temperature.min()), 0.5, 0.3])


def _spread(values: np.ndarray) -> float:
    """Half the interval that holds the middle 68 %: the standard deviation, if Gaussian, and no slave to single outliers."""
    low, high = np.percentile(values, [15.87, 84.13])
    return float(0.5 * (high - low))
