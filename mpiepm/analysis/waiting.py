"""Density psi(tau) of the time from one event of a site to its next (FMB fig. 3b), from a window of finite duration D.

Of the waits that begin at a time t0 after the window opened, those longer than D - t0 do not end in it, so that long waits
are rare among the complete ones: by (D - tau) / D in a stationary state. The product limit (Kaplan & Meier) counts the cut
waits, from the last event of a site to the end, as long as they were seen. It holds for any stationary process, with
correlated waits and unequal sites: psi is that of all waits, event by event. Waits longer than D remain unknown. With 8 bins
per decade it is too low by up to 10 % in the last bin before D and 2 % in the one before it.

Counts are (unit, bin), the units being runs or parts of the system that hardly depend on each other; they give the error, by
jackknife.
"""

import numpy as np

from mpiepm.analysis.errors import Estimate, jackknife


def centres(edges: np.ndarray) -> np.ndarray:
    """Geometric mean of the edges of each bin (bin,), the arithmetic one where a bin begins at 0."""
    return np.asarray(np.where(edges[:-1] > 0.0, np.sqrt(edges[:-1] * edges[1:]), 0.5 * (edges[:-1] + edges[1:])))


def survival(complete: np.ndarray, censored: np.ndarray) -> np.ndarray:
    """P(wait > edge) (bin + 1,) by the product limit over bins (bin,).

    The hazard of a bin is that of a life table: ended / (at risk - cut / 2), cut waits leaving in mid bin; error O(width^2).
    It stays at its last value beyond the longest wait seen.
    """
    seen = (complete + censored)[::-1].cumsum()[::-1]
    at_risk = seen - 0.5 * censored
    hazard = np.divide(complete, at_risk, out=np.zeros(len(seen)), where=at_risk > 0)
    return np.concatenate([[1.0], np.cumprod(1.0 - hazard)])


def product_limit(edges: np.ndarray, complete: np.ndarray, censored: np.ndarray) -> Estimate:
    """psi (bin,), per unit of the edges; int psi = 1 - P(longer than the longest wait seen).

    edges : (bin + 1,), units of time
    complete : (unit, bin) waits between two events of a site
    censored : (unit, bin) times from the last event of a site to the end; sites without events count in neither
    """

    def psi(units: np.ndarray) -> np.ndarray:
        return np.asarray(-np.diff(survival(complete[units].sum(axis=0), censored[units].sum(axis=0))) / np.diff(edges))

    return jackknife(psi, len(complete))
