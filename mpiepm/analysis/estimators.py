"""Estimators over the origins of an ensemble, with errors (`analysis.errors`).

    <P(t)> = mean over origins,   chi4(t) = N (<P^2> - <P>^2)   (Ozawa & Biroli 2023, SI eq. 19)
    tau_alpha: <P(tau)> = 1/2,  or C_s(tau) = 1/2,  or C_p(tau) = 1/2,  or 1 / Gamma

Functions of arrays come first; those of an ensemble return an `Estimate`.
"""

import numpy as np

from mpiepm.analysis.ensembles import Ensemble
from mpiepm.analysis.errors import Estimate, jackknife

LARGEST_Q = 0.25  # 1/site: wave vectors that the fit of xi_4 uses; the first shell of a smaller lattice in any case


def chi4(persistence: np.ndarray, sites: int) -> np.ndarray:
    """chi4 at every lag, from P of every origin (origin, lag).

    Unbiased for independent origins; a correlation of tau origins makes it too small by about (tau - 1) / (n - 1).
    """
    if len(persistence) < 2:
        return np.full(persistence.shape[1], np.nan)
    result: np.ndarray = sites * persistence.var(axis=0, ddof=1)
    return result


def crossing(lag: np.ndarray, mean: np.ndarray, level: float = 0.5) -> float:
    """Lag at which a decaying curve falls to `level`, linear in log(lag) between the lags; NaN if it does not.

    A curve that is already below the level at the first lag is continued from 1 at lag 0, linearly in the lag.
    """
    below = np.flatnonzero(mean <= level)
    if not below.size:
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(lag[0] * (1.0 - level) / (1.0 - mean[0]))
    share = (mean[k - 1] - level) / (mean[k - 1] - mean[k])
    return float(lag[k - 1] * (lag[k] / lag[k - 1]) ** share)


def relaxation_time(lag: np.ndarray, persistence: np.ndarray, level: float = 0.5) -> float:
    """Lag at which the mean over origins of P (origin, lag) falls to `level`; see `crossing`."""
    return crossing(lag, persistence.mean(axis=0), level)


def correlation_length(zero: float, shells: np.ndarray, wave_number: np.ndarray, vectors: np.ndarray) -> float:
    """xi of S(q) = S(0) / (1 + (q xi)^2) (Ornstein-Zernike), from S(0) and the shells (n,) of q <= LARGEST_Q; NaN if it grows.

    Least squares of 1 / S against q^2, where a mean over m `vectors` knows S up to a factor 1 +- 1 / sqrt(m).
    """
    few = max(1, int(np.count_nonzero(wave_number <= LARGEST_Q)))
    s, q, m = (np.concatenate([[first], rest[:few]]) for first, rest in ((zero, shells), (0.0, wave_number), (1.0, vectors)))
    if not np.all(s > 0.0):
        return float("nan")
    slope, intercept = np.polyfit(q**2, 1.0 / s, 1, w=s * np.sqrt(m))
    return float(np.sqrt(slope / intercept)) if slope > 0.0 and intercept > 0.0 else float("nan")


def activation_energy(temperature: np.ndarray, time: np.ndarray, error: np.ndarray) -> Estimate:
    """E of tau = tau_0 exp(E / T), by weighted least squares of ln tau against 1 / T."""
    if len(temperature) < 2:
        return Estimate(float("nan"), float("nan"))
    x, y, w = 1.0 / temperature, np.log(time), time / error
    centre = np.average(x, weights=w**2)
    spread = np.sum((w * (x - centre)) ** 2)
    return Estimate(float(np.sum(w**2 * (x - centre) * y) / spread), float(1.0 / np.sqrt(spread)))


def tau_alpha(e: Ensemble) -> Estimate:
    """Relaxation time by persistence, sweeps."""
    return jackknife(lambda o: relaxation_time(e.lag, e.persistence[o]), e.origins)


def stress_correlation(e: Ensemble, origins: np.ndarray) -> np.ndarray:
    """C_s (lag,) of some origins (SI eq. 17), at the lags of P; NaN from where the first of all origins ended."""
    product, square = e.data["correlations/stress_product"][origins], e.data["correlations/stress_square"][origins]
    ratio: np.ndarray = product[:, : len(e.lag)].mean(axis=0) / square.mean()
    return ratio


def plastic_correlation(e: Ensemble, origins: np.ndarray) -> np.ndarray:
    """C_p (lag,) of some origins (SI eq. 18), at the lags of P; NaN from where the first of all origins ended."""
    mean: np.ndarray = e.data["correlations/plastic"][origins][:, : len(e.lag)].mean(axis=0)
    return mean


def tau_stress(e: Ensemble) -> Estimate:
    """Relaxation time by the stress correlation, sweeps."""
    return jackknife(lambda o: crossing(e.lag, stress_correlation(e, o)), e.origins)


def tau_plastic(e: Ensemble) -> Estimate:
    """Relaxation time by the plastic correlation, sweeps."""
    return jackknife(lambda o: crossing(e.lag, plastic_correlation(e, o)), e.origins)


def chi4_peak(e: Ensemble) -> Estimate:
    """Largest chi4 over the lags; NaN if that is at the last one, for then the peak lies beyond what was measured."""
    whole = chi4(e.persistence, e.sites)
    if int(np.argmax(whole)) == len(whole) - 1:
        return Estimate(float("nan"), float("nan"))
    return jackknife(lambda o: float(np.max(chi4(e.persistence[o], e.sites))), e.origins)


def inverse_yield_rate(e: Ensemble) -> Estimate:
    """1 / Gamma, sweeps per event and site."""
    duration, events = e.data["origins/duration"], e.data["origins/events"]
    return jackknife(lambda o: float(duration[o].sum() * e.sites / max(events[o].sum(), 1)), e.origins)


def _at_relaxation(e: Ensemble, origins: np.ndarray, lag: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean over some origins of `values` (origin, lag, ...) at their own tau_alpha, linear in log(lag); NaN outside the lags.

    tau_alpha is found anew for every choice of origins: what P has too much of is then not held against the value.
    """
    tau = relaxation_time(e.lag, e.persistence[origins])
    k = int(np.searchsorted(lag, tau))
    if not 0 < k < len(lag):
        return np.full(values.shape[2:], np.nan)
    share = np.log(tau / lag[k - 1]) / np.log(lag[k] / lag[k - 1])
    mean: np.ndarray = (1.0 - share) * values[origins, k - 1].mean(axis=0) + share * values[origins, k].mean(axis=0)
    return mean


def _structure_factor(e: Ensemble, origins: np.ndarray) -> tuple[float, np.ndarray]:
    """S4 at tau_alpha of some origins: at q = 0, which is chi4, and in its shells (shell,)."""
    tau = relaxation_time(e.lag, e.persistence[origins])
    zero = float(np.interp(np.log(tau), np.log(e.lag), chi4(e.persistence[origins], e.sites)))
    return zero, _at_relaxation(e, origins, e.data["four_point/lag"], e.data["four_point/structure_factor"])


def xi4(e: Ensemble) -> Estimate:
    """Dynamic correlation length at tau_alpha, lattice constants, from S4 at q = 0 and at small q (`correlation_length`)."""
    q, vectors = e.data["four_point/wave_number"], e.data["four_point/vectors"]
    return jackknife(lambda o: correlation_length(*_structure_factor(e, o), q, vectors), e.origins)


def second_moment_length(e: Ensemble) -> Estimate:
    """sqrt(S4(0) / S4(q) - 1) / (2 sin(q / 2)) with the smallest q of the lattice, lattice constants; NaN if S4 grows.

    Over L it is a function of L / xi alone, as a collapse wants it; a fit over a fixed range of q, as that of xi_4, is not.
    """
    q = float(e.data["four_point/wave_number"][0])

    def estimate(origins: np.ndarray) -> float:
        zero, shells = _structure_factor(e, origins)
        excess = zero / shells[0] - 1.0
        return float(np.sqrt(excess) / (2.0 * np.sin(0.5 * q))) if excess > 0.0 else float("nan")

    return jackknife(estimate, e.origins)


def mean_cluster_size(e: Ensemble) -> Estimate:
    """Mean size of the cluster of a mobile site at tau_alpha, <s^2> / <s>, sites; linear in log(lag) between the lags."""
    return jackknife(lambda o: float(_at_relaxation(e, o, e.data["clusters/lag"], e.data["clusters/mean_size"])), e.origins)


def avalanche_cutoff(e: Ensemble) -> Estimate:
    """<S^2> / <S> of avalanches by each criterion (criterion,), events; NaN where none has ended.

    Proportional to the cut-off S_c of P(S) ~ S^-tau f(S / S_c), 1 < tau < 2.
    """
    moments = e.data["avalanches/moments"]

    def estimate(origins: np.ndarray) -> np.ndarray:
        _, first, second, *_ = moments[origins].sum(axis=0).T
        ratio: np.ndarray = np.divide(second, first, out=np.full(first.shape, np.nan), where=first > 0)
        return ratio

    return jackknife(estimate, e.origins)


def stress_density(e: Ensemble, origins: np.ndarray) -> np.ndarray:
    """P(sigma) of some origins, in the bins of `histograms/stress/edges`, per unit stress."""
    counts = e.data["histograms/stress/counts"][origins].sum(axis=0)
    everything = counts.sum() + e.data["histograms/stress/outside"][origins].sum()
    density: np.ndarray = counts / everything / np.diff(e.data["histograms/stress/edges"])
    return density


def stress_variance(e: Ensemble, limit: float = np.inf) -> Estimate:
    """Variance of the local stress from the histogram, of the sites with |sigma| < limit; units of sigma_c^2."""
    edges = e.data["histograms/stress/edges"]
    centre = 0.5 * (edges[1:] + edges[:-1])
    inside = np.abs(centre) < limit

    def estimate(origins: np.ndarray) -> float:
        counts = e.data["histograms/stress/counts"][origins].sum(axis=0)[inside]
        return float((counts * centre[inside] ** 2).sum() / counts.sum())

    return jackknife(estimate, e.origins)
