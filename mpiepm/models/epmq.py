"""EPM-Q: the rate of a site and what its event does to itself (Ozawa & Biroli, PRL 130, 138201, 2023, eq. 1 and SI).

A site with |sigma| >= sigma_c yields at rate 1 (per sweep), any other one at the rate

    w(sigma) = exp(-dE / T),   dE = K (sigma_c - |sigma|) ** a.

An event drops the stress by  delta = (z + |sigma| - sigma_c) sgn(sigma),  z exponential with mean z0, and adds
delta / mu to the plastic strain; the site is left at sgn(sigma) (sigma_c - z).
"""

import math

from mpiepm.core.jit import njit


@njit
def rate(stress: float, temperature: float, threshold: float, stiffness: float, exponent: float) -> float:
    """Event rate w(stress), per sweep."""
    distance = threshold - abs(stress)
    if distance <= 0.0:
        return 1.0
    power = distance * math.sqrt(distance) if exponent == 1.5 else distance**exponent
    return math.exp(-stiffness * power / temperature)


@njit
def stress_drop(stress: float, z: float, threshold: float) -> float:
    """Signed stress drop of an event, from its exponential variate z; against sgn(stress) if z < sigma_c - |stress|."""
    drop = z + abs(stress) - threshold
    return drop if stress >= 0.0 else -drop
