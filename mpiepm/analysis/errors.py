"""Values with honest errors: the jackknife over origins, with the correlation of origins that follow each other.

Leaving out origin k changes an estimate by u_k; u is the linear response of the estimate to its data, origin by origin. If
the u_k of one trajectory are correlated, the variance of their mean is larger by the integrated autocorrelation time
tau = 1 + 2 sum_n rho(n), found by emcee with a self-consistent window (Sokal). So

    error^2 = (n - 1) / n * sum_k (u_k - <u>)^2 * max(1, tau).

Below about 50 tau origins tau comes out too small (`known`). Trajectories are strung together: pairs across a joint are
uncorrelated, which costs less of tau than a mean for each would.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

WELL_SAMPLED = 50.0  # origins over tau from which tau can be trusted
FEWEST = 8  # origins from which correlations can be told at all


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error (NaN where there are too few origins to tell), and tau of its origins (1: independent).

    All three are numbers, or arrays of one shape.
    """

    value: Any
    error: Any
    correlation: Any = 1.0

    def __str__(self) -> str:
        return in_words(float(self.value), float(self.error))


def in_words(value: float, error: float, digits: int = 5) -> str:
    """Value and standard error: "250.76 +- 3.9", "0.86 (no error)" or "not known"."""
    if math.isnan(value):
        return "not known"
    return f"{value:.{digits}g} (no error)" if math.isnan(error) else f"{value:.{digits}g} +- {error:.2g}"


def known(estimate: Estimate, units: int) -> bool:
    """Are there enough origins, 50 tau, to trust tau? If not, tau and with it the error are lower bounds."""
    return units >= WELL_SAMPLED * float(estimate.correlation)


def jackknife(estimator: Callable[[np.ndarray], Any], units: int) -> Estimate:
    """`estimator(indices of origins)` on all of them, a number or an array, and its error.

    The origins of one trajectory follow each other, and trajectories follow each other.
    """
    everything = np.arange(units)
    value = estimator(everything)
    if units < 2:
        return Estimate(value, value * np.nan)
    responses = np.array([estimator(np.delete(everything, k)) for k in range(units)])
    variance = (units - 1) / units * np.sum((responses - responses.mean(axis=0)) ** 2, axis=0)
    tau = _correlation(responses.reshape(units, -1)).reshape(np.shape(value))
    error = np.sqrt(variance * tau)
    return Estimate(value, error if error.ndim else float(error), tau if tau.ndim else float(tau))


def _correlation(responses: np.ndarray) -> np.ndarray:
    """max(1, tau) of each column (origins, columns)."""
    tau = np.ones(responses.shape[1])
    moves = np.ptp(responses, axis=0) > 0.0  # a constant has no correlations, nor has what is not finite
    if len(responses) >= FEWEST and moves.any():
        from emcee import autocorr  # half a second

        logging.getLogger("emcee").setLevel(logging.ERROR)  # short series are what we have
        tau[moves] = np.maximum(1.0, autocorr.integrated_time(responses[:, None, moves], quiet=True))
    return tau
