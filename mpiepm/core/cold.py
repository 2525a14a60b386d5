"""How cold a run can be: what numbers in single and double precision can tell apart."""

import math

from mpiepm.core.sections import Epmq

LONGEST = 1e270   # sweeps that an engine can wait for one event: sums and quotients of such times are still numbers
LOOSENESS = 1.0   # a margin raises the logarithm of a rate by about this much, where sites are active
_FEWEST_STEPS = 8  # of single precision, that a margin must have at the threshold
_LARGEST_NORMAL = math.sqrt(2.0 * 53.0 * math.log(2.0))  # of `grid.rng.standard_normal`, by Box and Muller from 53 bits


def margin(model: Epmq) -> float:
    """By how much |stress| may rise before a bound of the rate fails, units of stress.

    LOOSENESS T / |d(dE)/d sigma| at a typical distance from the threshold, a quarter of it. For a < 1 the slope is largest close
    to the threshold: there it is judged at the distance where dE = T.
    """
    slope: float = model.stiffness * model.barrier_exponent * (0.25 * model.threshold) ** (model.barrier_exponent - 1.0)
    usual = LOOSENESS * model.temperature / slope
    if model.barrier_exponent >= 1.0:
        return usual
    return min(usual, float((model.temperature / model.stiffness) ** (1.0 / model.barrier_exponent)))


def lowest_margin(model: Epmq) -> float:
    """The smallest `margin` with which limits in single precision (`engine.bounds`) lie above the stress that they are for."""
    return _FEWEST_STEPS * 2.0**-23 * model.threshold


def first_wait(model: Epmq, sites: int) -> float:
    """Lower bound of the logarithm of the mean time, sweeps, before the first event.

    No initial |stress| is above s = 8.57 R, so no rate is above w(s), and the mean time is at least 1 / (sites w(s)).
    """
    distance = max(model.threshold - _LARGEST_NORMAL * model.initial_stress_std, 0.0)
    return float(model.stiffness * distance**model.barrier_exponent / model.temperature - math.log(sites))
