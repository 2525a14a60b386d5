"""EPM-Q without elasticity, in closed form: every site is a renewal process of its own.

After an event the stress of a site has the density (z0 = sigma_c = 1)

    y(s) = 1/2 [exp(-(1 - s)) (s < 1) + exp(-(1 + s)) (s > -1)];

it stays there for an exponential time of mean 1 / w(s). Hence, in the stationary state,

    1 / Gamma = int y / w ds,   P(s) = Gamma y(s) / w(s),   P(t) = int P(s) exp(-w(s) t) ds.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.integrate import quad


def density_after_event(stress: float) -> float:
    """y(s), per unit stress."""
    left = math.exp(-(1.0 - stress)) if stress < 1.0 else 0.0
    right = math.exp(-(1.0 + stress)) if stress > -1.0 else 0.0
    return 0.5 * (left + right)


def rate(stress: float, temperature: float, exponent: float = 1.5) -> float:
    """w(s), per sweep."""
    return math.exp(-(max(0.0, 1.0 - abs(stress)) ** exponent) / temperature)


def _integrate(function: Callable[[float], float]) -> float:
    """Twice the integral over s > 0 of an even function with a kink at 1 and a tail exp(-s)."""
    inner, _ = quad(function, 0.0, 1.0, epsabs=0.0, epsrel=1e-11, limit=400)
    outer, _ = quad(function, 1.0, 60.0, epsabs=0.0, epsrel=1e-11, limit=400)
    return float(2.0 * (inner + outer))


def inverse_yield_rate(temperature: float) -> float:
    """1 / Gamma, sweeps."""
    return _integrate(lambda s: density_after_event(s) / rate(s, temperature))


def stress_density(stress: float, temperature: float) -> float:
    """Stationary P(s), per unit stress."""
    return density_after_event(stress) / rate(stress, temperature) / inverse_yield_rate(temperature)


def persistence(lags: np.ndarray, temperature: float) -> np.ndarray:
    """Stationary P(t) at the lags t (n,), sweeps: (n,)."""
    norm = inverse_yield_rate(temperature)

    def value(t: float) -> float:
        return _integrate(lambda s: density_after_event(s) / rate(s, temperature) * math.exp(-rate(s, temperature) * t))

    return np.array([value(float(t)) for t in lags]) / norm
