"""Density psi(tau) of the time from one event of a site to its next (FMB fig. 3b), from a window of finite duration D.

Of the waits that begin at a time t0 after the window opened, those longer than D - t0 do not end in it, so that long waits are
rare among the complete ones: by (D - tau) / D in a stationary state. Two estimates are free of this.

product limit (Kaplan & Meier) : counts the cut waits, from the last event of a site to the end, as long as they were seen
minus sampling : gives each complete wait the weight D / (D - tau); needs no cut waits, but one D for all

Both hold for any stationary process, with correlated waits and unequal sites: psi is that of all waits, event by event. Waits
longer than D remain unknown. With 8 bins per decade the product limit is too low by up to 10 % in the last bin before D and 2 %
in the one before it; minus sampling is too high there, by up to 15 and 4 %.

Counts are (unit, bin), the units being runs or parts of the system that hardly depend on each other; they give the error, by
jackknife.
"""

import numpy as np

from mpiepm.analysis.errors import Estimate, jackknife


def centres(edges: np.ndarray) -> np.ndarray:
    """Geometric mean of the edges of each bin (bin,), the arithmetic one where a bin begins at 0."""
    return np.asarray(np.where(edges[:-1] > 0.0, np.sqrt(edges[:-1] * edges[1:]), 0.5 * (edges[:-1] + edges[1:])))


def naive(edges: np.ndarray, complete: np.ndarray) -> Estimate:
    """psi (bin,) of the complete waits as if they were all: what a plain histogram shows, biased towards short ones."""
    return jackknife(lambda units: complete[units].sum(axis=0) / complete[units].sum() / np.diff(edges), len(complete))


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


def minus_sampling(edges: np.ndarray, complete: np.ndarray, events: np.ndarray, duration: float) -> Estimate:
    """psi (bin,) = waits / (events / D int_bin (D - tau) dtau), per unit of the edges; NaN beyond D.

    complete : (unit, bin) waits both ends of which lie in a window of length D
    events : (unit,) events in it, of all sites, those with no complete wait too
    """
    left = np.maximum(duration - edges, 0.0)
    reach = 0.5 * (left[:-1] ** 2 - left[1:] ** 2) / duration
    reach[reach == 0.0] = np.nan
    return jackknife(lambda units: complete[units].sum(axis=0) / events[units].sum() / reach, len(complete))


def local_slope(x: np.ndarray, values: np.ndarray, reach: int = 2) -> np.ndarray:
    """d ln(values) / d ln(x) (n,), a straight line through a point and `reach` neighbours on either side.

    NaN at the ends, and where one of the values is not positive.
    """
    with np.errstate(divide="ignore"):
        logs = np.where(values > 0.0, np.log(values), np.nan)
    window = 2 * reach + 1
    slope = np.full(len(x), np.nan)
    if len(x) >= window:
        arm = np.lib.stride_tricks.sliding_window_view(np.log(x), window)
        arm = arm - arm.mean(axis=1, keepdims=True)
        height = np.lib.stride_tricks.sliding_window_view(logs, window)
        slope[reach : len(x) - reach] = (arm * height).sum(axis=1) / (arm**2).sum(axis=1)
    return slope
