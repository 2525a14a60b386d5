"""Data collapse: do the values of all sizes and temperatures lie on one curve, and with which exponents?

    y(T, L) = L^a (1 + b L^-omega) f((T - T_c) L^(1/nu))

T_c = 0 is the zero-temperature fixed point: the argument is then a power of L / xi, xi ~ T^-nu. Where all T > T_c it is taken
on a logarithmic scale, else on a linear one. b is 0 unless it is set free: one correction to scaling.

As in the finite-size scaling of Slevin & Ohtsuki (Phys. Rev. Lett. 82, 382, 1999) ln f is a polynomial, fitted together with
the exponents by weighted least squares to all points,

    chi^2 = sum_i (ln y_i - ln y(T_i, L_i))^2 / dy_i^2,     S = chi^2 / (points - coefficients - free parameters),

with dy the relative errors. S is about 1 where the data collapse within their errors; the probability that Gaussian errors make
chi^2 at least as large decides. The degree is the one of smallest chi^2 + 2 * degree (Akaike). Every point counts, whatever
the exponents: a quality that is a mean over the points which other sizes enclose is best where next to none are. Errors of the
exponents are those of a parametric bootstrap: replicas of the fitted curve with the errors of the data, fitted alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from mpiepm.analysis.errors import Estimate
from mpiepm.core.faults import ParameterError

PARAMETERS = ("a", "inverse_nu", "T_c", "b", "omega")
UNLIKELY = 0.01  # probability below which there is no collapse
COARSE = 0.5  # relative error from which on a point has no place in a collapse: its logarithm is anything
_A = 0  # the place of a, which is found together with the polynomial
_FIXED = np.array([0.0, 1.0, 0.0, 0.0, 1.0])  # what a parameter is unless it is free or given
_LOWEST = np.array([-np.inf, -1.0, 0.0, -np.inf, 0.1])
_HIGHEST = np.array([np.inf, 10.0, np.inf, np.inf, 10.0])
_FEWEST = 8  # points
_DEGREES = range(1, 7)
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
        """Those that have a logarithm with an error."""
        known = np.isfinite(self.value) & np.isfinite(self.error) & (self.value > 0.0) & (self.error > 0.0)
        return self.where(known & (self.error < COARSE * self.value))


@dataclass(frozen=True)
class Collapse:
    """The best collapse of some points.

    Attributes
    ----------
    values : float64 (5,), in the order of `PARAMETERS`;  free : places of those that were sought
    quality : S;  probability : of so large a chi^2, if they do collapse;  degree : of the polynomial
    replicas : float64 (replica, 5), the parameters found for points that do collapse
    """

    points: Points
    values: np.ndarray
    free: tuple[int, ...]
    quality: float
    probability: float
    degree: int
    replicas: np.ndarray = field(repr=False)

    @property
    def holds(self) -> bool:
        """Do the points lie on one curve, and is it one that several sizes share?"""
        return not self.objection

    @property
    def objection(self) -> str:
        """Why this is no collapse, for people; empty if it is one."""
        if self.probability < UNLIKELY:
            return f"errors make S so large with a probability below {UNLIKELY:g}"
        x, _, _ = self.scaled()
        ranges = [x[self.points.length == length] for length in np.unique(self.points.length)]
        if any(not _reach_into(one, next_one) for one, next_one in pairwise(ranges)):
            return "there are sizes that share no part of the curve"
        return ""

    @property
    def parameters(self) -> dict[str, Estimate]:
        """The free parameters with their standard errors."""
        return {PARAMETERS[k]: Estimate(float(self.values[k]), _spread(self.replicas[:, k])) for k in self.free}

    @property
    def gamma(self) -> Estimate:
        """a nu: y ~ T^-gamma where L >> xi, if T_c = 0; NaN if it is not known within a half. a may be known less."""
        a, inverse_nu, *_ = self.replicas.T
        gamma = Estimate(float(self.values[0] / self.values[1]), _spread(a / inverse_nu))
        return gamma if gamma.error < 0.5 * abs(gamma.value) else Estimate(float("nan"), float("nan"))

    def scaled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Abscissa, value and error of every point (point,): (T - T_c) L^(1/nu), y L^-a / (1 + b L^-omega)."""
        x = _abscissa(self.points, self.values)
        y = np.exp(np.log(self.points.value) - _prefactor(self.points, self.values))
        return (np.exp(x) if _is_logarithmic(self.points, self.values) else x), y, y * self.points.error / self.points.value


def collapse(
    points: Points, free: Sequence[str] = ("a", "inverse_nu"), given: dict[str, float] | None = None,
    replicas: int = 200, seed: int = 0,
) -> Collapse:  # fmt: skip
    """The best collapse that the `free` parameters allow, the others as `given`, else T_c = b = 0; `seed` is of the replicas.

    Raises
    ------
    ParameterError : if a parameter is not one of `PARAMETERS`, or there are too few points or sizes
    """
    for name in (*free, *(given or {})):
        if name not in PARAMETERS:
            raise ParameterError(f"{name}: is no parameter of a collapse, must be one of {', '.join(PARAMETERS)}")
    points = points.usable()
    if len(np.unique(points.length)) < 2:
        raise ParameterError("a collapse needs at least two sizes")
    if (there := len(points.value)) < _FEWEST:
        raise ParameterError(f"a collapse needs at least {_FEWEST} points, there are {there}")
    places = [PARAMETERS.index(name) for name in free]
    trials = _trials(points, places, given or {})
    degrees = [degree for degree in _DEGREES if 2 * (degree + 1 + len(places)) <= there] or [1]
    fits = [_fit(points, places, trials, degree) for degree in degrees]
    chosen = int(np.argmin([fit.chi_squared + 2 * degree for fit, degree in zip(fits, degrees, strict=True)]))
    best, degree = fits[chosen], degrees[chosen]
    freedom = there - degree - 1 - len(places)
    rng, dy = np.random.default_rng(seed), points.error / points.value
    drawn = np.empty((replicas, len(PARAMETERS)))
    for k in range(replicas):
        value = np.exp(best.model + dy * rng.standard_normal(there))
        replica = Points(points.length, points.temperature, value, dy * value)
        drawn[k] = _fit(replica, places, np.vstack([best.values, trials]), degree).values
    probability = float(chi2.sf(best.chi_squared, freedom))
    return Collapse(points, best.values, tuple(places), best.chi_squared / freedom, probability, degree, drawn)


class _Fit(NamedTuple):
    """Parameters (5,), chi^2, and the fitted ln y (point,)."""

    values: np.ndarray
    chi_squared: float
    model: np.ndarray


def _trials(points: Points, free: list[int], given: dict[str, float]) -> np.ndarray:
    """Sets of parameters (trial, 5) on a grid of the free ones."""
    hottest, coldest = points.temperature.max(), points.temperature.min()
    grids = [np.zeros(1), np.linspace(0.0, 3.0, 13)[1:], np.geomspace(0.3 * coldest, hottest, 10), np.zeros(1), np.ones(1)]
    rest = [np.array([given.get(name, fixed)]) for name, fixed in zip(PARAMETERS, _FIXED, strict=True)]
    return np.asarray(list(product(*(grids[k] if k in free else rest[k] for k in range(len(PARAMETERS))))))


def _abscissa(points: Points, values: np.ndarray) -> np.ndarray:
    """ln((T - T_c) L^(1/nu)), or without the logarithm."""
    if _is_logarithmic(points, values):
        return np.asarray(np.log(points.temperature - values[2]) + values[1] * np.log(points.length))
    return np.asarray((points.temperature - values[2]) * points.length ** values[1])


def _is_logarithmic(points: Points, values: np.ndarray) -> bool:
    """Are all temperatures above T_c?"""
    return bool(points.temperature.min() > values[2])


def _prefactor(points: Points, values: np.ndarray) -> np.ndarray:
    """ln(L^a (1 + b L^-omega))."""
    return np.asarray(values[_A] * np.log(points.length) + np.log1p(values[3] * points.length ** -values[4]))


def _linear(points: Points, values: np.ndarray, a_is_free: bool, degree: int) -> _Fit:
    """The best polynomial, and a if it is free; the other parameters as they are."""
    values = values.copy()
    if a_is_free:
        values[_A] = 0.0
    x, weight = _abscissa(points, values), points.value / points.error
    y = np.log(points.value) - _prefactor(points, values)
    centred = 2.0 * (x - x.min()) / np.ptp(x) - 1.0
    columns = np.polynomial.chebyshev.chebvander(centred, degree)
    if a_is_free:
        columns = np.column_stack([columns, np.log(points.length)])
    solution = np.linalg.lstsq(columns * weight[:, None], y * weight, rcond=None)[0]
    if a_is_free:
        values[_A] = solution[-1]
    fitted = columns @ solution
    return _Fit(values, float(np.sum(((y - fitted) * weight) ** 2)), fitted + np.log(points.value) - y)


def _fit(points: Points, free: list[int], trials: np.ndarray, degree: int) -> _Fit:
    """The smallest chi^2 to which the best `trials` (trial, 5) lead."""
    sought = [k for k in free if k != _A]

    def at(trial: np.ndarray) -> _Fit | None:
        inside = ((trial >= _LOWEST) & (trial <= _HIGHEST)).all() and (trial[3] * points.length ** -trial[4] > -1.0).all()
        return _linear(points, trial, _A in free, degree) if inside else None

    def objective(p: np.ndarray, start: np.ndarray) -> float:
        trial = start.copy()
        trial[sought] = p
        fit = at(trial)
        return np.inf if fit is None else fit.chi_squared

    fits = sorted((fit for trial in trials if (fit := at(trial)) is not None), key=lambda fit: fit.chi_squared)[:_STARTS]
    for start in [fit.values for fit in fits] if sought else []:
        simplex = start[sought] + np.vstack([np.zeros(len(sought)), np.diag(_steps(points)[sought])])
        options = {"xatol": 1e-4, "fatol": 1e-4, "initial_simplex": simplex}
        found = start.copy()
        found[sought] = minimize(objective, start[sought], (start,), method="Nelder-Mead", options=options).x
        if (fit := at(found)) is not None:
            fits.append(fit)
    return min(fits, key=lambda fit: fit.chi_squared)


def _steps(points: Points) -> np.ndarray:
    """First steps of the search (5,)."""
    return np.asarray([0.1, 0.1, 0.1 * float(points.temperature.min()), 0.5, 0.3])


def _reach_into(one: np.ndarray, other: np.ndarray) -> bool:
    """Has each of two sets of abscissas a point within the range of the other?"""
    low, high = max(one.min(), other.min()), min(one.max(), other.max())
    return all(bool(((low <= x) & (x <= high)).any()) for x in (one, other))


def _spread(values: np.ndarray) -> float:
    """Half the interval that holds the middle 68 %: the standard deviation, if Gaussian, and no slave to single outliers."""
    if not len(values):
        return float("nan")
    low, high = np.percentile(values, [15.87, 84.13])
    return float(0.5 * (high - low))
