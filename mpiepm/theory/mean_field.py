"""Mean-field theory of EPM-Q at vanishing temperature (Ozawa & Biroli 2023, SI), in units sigma_c = sigma_0 = 1."""

import math

import numpy as np
from scipy.optimize import brentq


def coupling(kernels: np.ndarray, mean_drop: float = 1.0) -> float:
    """alpha = sigma_0^2 / 2 < sum_{j != i} G^psi(r_ij)^2 >_psi of any kernel (SI eq. 26).

    kernels : (angles, Lx, Ly), G^psi(r) at equally spaced psi in [0, pi / 2) (the integrand is periodic: midpoints and left
        ends converge alike); r = 0, at [:, 0, 0], is left out
    mean_drop : sigma_0, the mean stress drop that comes with |s| = sigma_c
    """
    others = np.square(kernels, dtype=np.float64)
    others[:, 0, 0] = 0.0
    return 0.5 * mean_drop**2 * float(others.sum()) / len(kernels)


def coupling_of_edge(edge: float) -> float:
    """alpha as a function of the edge sigma_bar of the stress distribution at T -> 0 (SI eq. 33)."""
    e = math.exp(-1.0)
    return ((edge - 1.0) * math.exp(edge - 1.0) + (1.0 - 0.5 * edge**2) * e) / (1.0 - e)


def edge_of_coupling(alpha: float) -> float:
    """sigma_bar for a coupling alpha, the inverse of SI eq. 33; 0.749 for alpha = 0.110.

    Raises
    ------
    ValueError : if alpha is outside (0, alpha(1) = 0.29...), where the support would reach the threshold
    """
    largest = coupling_of_edge(1.0)
    if not 0.0 < alpha < largest:
        raise ValueError(f"alpha = {alpha}: must be between 0 and {largest:.4f}")
    return float(brentq(lambda edge: coupling_of_edge(edge) - alpha, 0.0, 1.0))


def activation_energy(alpha: float, exponent: float = 1.5) -> float:
    """Barrier at the edge, (1 - sigma_bar) ** a: the activation energy of Gamma and tau_alpha at T -> 0."""
    return float((1.0 - edge_of_coupling(alpha)) ** exponent)


def activation_stress(energy: float, exponent: float = 1.5) -> float:
    """sigma_bar^act = 1 - E ** (1 / a), the stress with the barrier E (the arrows of Fig. 4)."""
    return float(1.0 - energy ** (1.0 / exponent))


def low_temperature_density(stress: np.ndarray, alpha: float) -> np.ndarray:
    """P(sigma) at T -> 0 (SI eq. 32), per unit stress, at the stresses (n,): (n,); its integral over both signs is 1.

    |s| < sigma_bar, 0 beyond: P = [e^(sigma_bar - 1) - e^(|s| - 1) + (|s| - sigma_bar) / e] / (2 alpha (1 - 1/e))
    """
    e = math.exp(-1.0)
    edge = edge_of_coupling(alpha)
    s = np.minimum(np.abs(stress), edge)
    return np.asarray((math.exp(edge - 1.0) - np.exp(s - 1.0) + e * (s - edge)) / (2.0 * alpha * (1.0 - e)))
