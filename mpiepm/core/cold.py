"""How cold a run can be: what numbers in single and double precision can tell apart."""

import math

import numpy as np

from mpiepm.core.sections import Epmq

LONGEST = 1e290   # sweeps that an engine may wait for one event: sums and quotients of such times are still numbers
LOOSENESS = 1.0   # a margin raises the logarithm of a rate by about this much, where sites are active
_FINEST = 2.0**-20  # margin over threshold: 8 steps of single precision
_MOST_SINGLE = 400.0  # barrier / T of sigma = 0; a third of it, about that of 1 / Gamma, is then beyond single precision
_LARGEST_NORMAL = math.sqrt(2.0 * 53.0 * math.log(2.0))  # of `grid.rng.standard_normal`: Box and Muller with 53 bits


def barrier(model: Epmq, distance: float) -> float:
    """dE at this distance from the threshold, at most the largest number."""
    with np.errstate(over="ignore"):
        return float(min(model.stiffness * np.float64(distance) ** model.barrier_exponent, np.finfo(float).max))


def _slope(model: Epmq) -> float:
    """|d(dE) / d sigma| at a typical distance from the threshold, a quarter of it; above 0."""
    typical = 0.25 * model.threshold
    return max(model.barrier_exponent * (barrier(model, typical) / typical), np.finfo(float).tiny)


def margin(model: Epmq) -> float:
    """By how much |stress| may rise before a bound of the rate fails, units of stress: LOOSENESS T / slope.

    For a < 1 the slope is largest close to the threshold: there the margin is at most the distance at which dE = T.
    """
    usual = LOOSENESS * model.temperature / _slope(model)
    if model.barrier_exponent >= 1.0:
        return usual
    return min(usual, float((model.temperature / model.stiffness) ** (1.0 / model.barrier_exponent)))


def lowest_temperature(model: Epmq) -> float:
    """The T whose `margin` is _FINEST times the threshold.

    Limits of |stress| are kept in single precision (`engine.bounds`), with a relative error of 2^-24. With a smaller margin a
    limit could be rounded below the very stress that it is for, and the bound would be wrong.
    """
    finest = _FINEST * model.threshold
    usual = finest * _slope(model) / LOOSENESS
    if model.barrier_exponent >= 1.0:
        return usual
    return max(usual, barrier(model, finest))


def log_first_wait(model: Epmq, sites: int) -> float:
    """Lower bound of the logarithm of the mean time, sweeps, before the first event.

    No initial |stress| is above s = 8.58 R, so no rate is above w(s), and the mean time is at least 1 / (sites w(s)).
    """
    distance = max(model.threshold - _LARGEST_NORMAL * model.initial_stress_std, 0.0)
    return barrier(model, distance) / model.temperature - math.log(sites)


def single_precision_suffices(model: Epmq) -> bool:
    """For the lags of first events: none beyond 3e38? Extremal dynamics counts events."""
    return model.temperature == 0 or barrier(model, model.threshold) <= _MOST_SINGLE * model.temperature
