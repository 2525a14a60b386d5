"""Estimators over the origins of a run, with jackknife errors.

    <P(t)> = mean over origins,   tau_alpha: <P(tau_alpha)> = 1/2,   chi4(t) = N (<P^2> - <P>^2)

(Ozawa & Biroli 2023, SI eq. 19). The origins of one run follow each other, so they are not quite independent: with few
relaxation times between them the errors are a lower bound.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpiepm.analysis.read import Run


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error (NaN where there are too few origins to tell)."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.5g} +- {self.error:.2g}"


def chi4(persistence: np.ndarray, sites: int) -> np.ndarray:
    """chi4 at every lag, from P of every origin (origin, lag), unbiased in the number of origins."""
    if len(persistence) < 2:
        return np.full(persistence.shape[1], np.nan)
    result: np.ndarray = sites * persistence.var(axis=0, ddof=1)
    return result


def relaxation_time(lag: np.ndarray, persistence: np.ndarray, level: float = 0.5) -> float:
    """Lag at which <P> falls to `level`, linear in log(lag) between the lags; NaN if it does not.

    A mean that is already below the level at the first lag is continued from P(0) = 1, linearly in the lag.
    """
    mean = persistence.mean(axis=0)
    below = np.flatnonzero(mean <= level)
    if not below.size:
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(lag[0] * (1.0 - level) / (1.0 - mean[0]))
    share = (mean[k - 1] - level) / (mean[k - 1] - mean[k])
    return float(lag[k - 1] * (lag[k] / lag[k - 1]) ** share)


def jackknife(estimator: Callable[[np.ndarray], float], units: int) -> Estimate:
    """Value of `estimator(indices of units)` on all units, and its delete-one jackknife error."""
    everything = np.arange(units)
    value = estimator(everything)
    if units < 2:
        return Estimate(value, float("nan"))
    leave_one_out = np.array([estimator(np.delete(everything, k)) for k in range(units)])
    variance = (units - 1) / units * np.sum((leave_one_out - leave_one_out.mean()) ** 2)
    return Estimate(value, float(np.sqrt(variance)))


def tau_alpha(run: Run) -> Estimate:
    """Relaxation time by persistence, sweeps."""
    return jackknife(lambda units: relaxation_time(run.lag, run.persistence[units]), len(run.persistence))


def chi4_peak(run: Run) -> Estimate:
    """Largest chi4 over the lags."""
    return jackknife(lambda units: float(np.max(chi4(run.persistence[units], run.sites))), len(run.persistence))


def inverse_yield_rate(run: Run) -> Estimate:
    """1 / Gamma, sweeps per event and site."""
    return jackknife(
        lambda units: float(run.duration[units].sum() * run.sites / max(run.events[units].sum(), 1)), len(run.events)
    )


def stress_variance(run: Run, limit: float = np.inf) -> Estimate:
    """Variance of the local stress from the histogram, of the sites with |sigma| < limit; units of sigma_c^2."""
    centre = 0.5 * (run.edges[1:] + run.edges[:-1])
    inside = np.abs(centre) < limit
    squares = np.where(inside, centre**2, 0.0)

    def estimate(units: np.ndarray) -> float:
        counts = run.counts[units].sum(axis=0)
        return float((counts * squares).sum() / counts[inside].sum())

    return jackknife(estimate, len(run.counts))
