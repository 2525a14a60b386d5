"""Mean-field theory of EPM-Q at vanishing temperature (Ozawa & Biroli 2023, SI), in units sigma_c = sigma_0 = 1."""

import math

from scipy.optimize import brentq


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
