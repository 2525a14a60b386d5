"""Estimators of the motion of tracers, from unwrapped positions (frame, tracer, 2), lattice constants (FMB figs. 2a, 3a, 3c).

    D(t) = <|r(t0 + t) - r(t0)|^2> / (4t),   P(u),   C_u(t) = <u(t0) . u(t0 + t)> / <u^2>

averaged over tracers and times t0 ("origins"). All tracers of a run follow one displacement field, so they are no independent
data; origins far apart are. So every estimator returns sums over blocks of consecutive origins, all tracers together, and the
error is their jackknife (`errors.jackknife`). Where a lag is not short against a block, neighbours share much of their
displacements, and too few blocks are left to measure that; but it is known: the squares of displacements over a time t, from
origins j apart, have the correlation (1 - j/t)^2 if the motion is diffusive, exactly so for Brownian motion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import brentq
from scipy.special import softmax

from mpiepm.analysis.errors import Estimate, jackknife

BLOCKS = 16
_TRACERS_AT_ONCE = 64  # bounds the memory of the transforms
_POINTS = 8  # origins per block that stand for all, in the correlation by overlap


@dataclass(frozen=True)
class Blocks:
    """Sums over the origins of each block; shapes (block, ...) that broadcast."""

    total: np.ndarray
    number: np.ndarray  # how many values are in the total
    share: np.ndarray | None = None  # (lag,) of a run that each lag takes, if the values are those of displacements over it
    runs: int = 1

    def mean(self, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Mean (...) over the chosen blocks; NaN where they hold nothing."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total[chosen].sum(axis=0) / self.number[chosen].sum(axis=0))

    def estimate(self, function: Callable[[np.ndarray], Any] = np.asarray, lags: np.ndarray | None = None) -> Estimate:
        """`function(mean)` with its error.

        lags : which (lag,) the function uses; by default its values (lag, ...) are those of one lag each
        """
        found = jackknife(lambda chosen: function(self.mean(chosen)), len(self.total))
        if self.share is None or not np.size(found.value):
            return found
        if lags is None:
            overlap = np.array([overlap_correlation(s, len(self.total), self.runs) for s in self.share])
            overlap = overlap.reshape(overlap.shape + (1,) * (np.ndim(found.value) - 1))
        else:
            overlap = np.asarray(overlap_correlation(float(self.share[lags].max()), len(self.total), self.runs))
        correlation = np.maximum(found.correlation, overlap)
        return Estimate(found.value, found.error * np.sqrt(correlation / found.correlation), correlation)


def join(parts: Sequence[Blocks]) -> Blocks:
    """Blocks of several runs of one length, one run after the other."""
    shares = [p.share for p in parts if p.share is not None]
    share = np.max(shares, axis=0) if shares else None
    total, number = (np.concatenate([getattr(p, name) for p in parts]) for name in ("total", "number"))
    return Blocks(total, number, share, sum(p.runs for p in parts))


def overlap_correlation(share: float, blocks: int, runs: int = 1) -> float:
    """True variance of the mean over that from the jackknife, for origins with the correlation (1 - j/t)^2; at least 1.

    share : t, in lengths of a run; origins fill the run up to 1 - t
    blocks : of all runs together
    """
    per_run = blocks // runs
    if blocks < 2:
        return 1.0  # without a jackknife there is nothing to correct
    x = (np.arange(_POINTS * per_run) + 0.5) / (_POINTS * per_run)
    x = x[x < 1.0 - share]
    member = (np.floor(x * per_run).astype(int) == np.arange(per_run)[:, None]).astype(float)
    alike = np.maximum(1.0 - np.abs(x[:, None] - x) / max(share, 1e-9), 0.0) ** 2
    covariance = np.kron(np.eye(runs), member @ alike @ member.T)  # of the sums of the blocks
    number = np.tile(member.sum(axis=1), runs)
    everything = number.sum()
    response = (np.eye(blocks) - number[:, None] / everything) / (everything - number)[:, None]
    moved = response @ covariance @ response.T
    jackknife_variance = (blocks - 1) / blocks * (np.trace(moved) - moved.sum() / blocks)
    return max(1.0, float(covariance.sum() / everything**2 / jackknife_variance))


def log_lags(frames: int, per_decade: int = 8) -> np.ndarray:
    """Different lags in frames, equally spaced on a logarithmic scale from 1 to a third of the frames."""
    longest = frames // 3
    return np.unique(np.geomspace(1, longest, int(per_decade * np.log10(max(longest, 1))) + 1).round().astype(int))


def _products(early: np.ndarray, late: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """sum_o early(o) . late(o + m) over tracers and components too, at the lags m, by FFT: (lag,)."""
    size = next_fast_len(len(early) + int(lags.max()), real=True)
    spectrum = np.zeros(size // 2 + 1, complex)
    for first in range(0, early.shape[1], _TRACERS_AT_ONCE):
        some = slice(first, first + _TRACERS_AT_ONCE)
        left, right = rfft(early[:, some], size, axis=0), rfft(late[:, some], size, axis=0)
        spectrum += np.einsum("fmk,fmk->f", left.conj(), right)
    return np.asarray(irfft(spectrum, size)[lags])


def _by_block(
    values: np.ndarray, lags: np.ndarray, blocks: int, sums: Callable[[np.ndarray, int, np.ndarray], np.ndarray]
) -> Blocks:
    """`sums(values of a block and what the lags reach, origins in it, lags)` (lag,) of every block of all frames."""
    edges = np.linspace(0, len(values), blocks + 1).astype(int)
    total, number = np.empty((blocks, len(lags))), np.empty((blocks, len(lags)))
    for b, (start, stop) in enumerate(pairwise(edges)):
        reach = values[start : stop + int(lags.max())]
        total[b] = sums(reach, stop - start, lags)
        number[b] = values.shape[1] * np.clip(len(reach) - lags, 0, stop - start)
    return Blocks(total, number)


def _squares(reach: np.ndarray, origins: int, lags: np.ndarray) -> np.ndarray:
    """sum |r(o + m) - r(o)|^2 = sum |r(o + m)|^2 + |r(o)|^2 - 2 r(o) . r(o + m), over origins o and tracers."""
    reach = reach - reach[0]  # displacements are what cancellation leaves: keep the terms small
    cumulative = np.concatenate([[0.0], np.einsum("omk,omk->o", reach, reach).cumsum()])
    last = np.clip(len(reach) - lags, 0, origins)
    first = np.minimum(lags, len(reach) - last)
    squares = cumulative[last] + cumulative[first + last] - cumulative[first]
    return np.asarray(squares - 2.0 * _products(reach[:origins], reach, lags))


def mean_square_displacement(positions: np.ndarray, lags: np.ndarray, blocks: int = BLOCKS) -> Blocks:
    """<|dr|^2>, lattice constants^2, over all origins, in O(frames log frames) by Wiener and Khinchin: (block, lag).

    positions : (frame, tracer, 2), at equally spaced times
    lags : (lag,) frames
    """
    sums = _by_block(positions, lags, blocks, _squares)
    return Blocks(sums.total, sums.number, lags / len(positions))


def diffusion(squares: Blocks, times: np.ndarray) -> Estimate:
    """D(t) = <|dr|^2> / (4t) at the lags t (lag,), lattice constants^2 per unit of the times."""
    return squares.estimate(lambda mean: mean / (4.0 * times))


def displacement_rates(positions: np.ndarray, frames: int, time: float = 1.0) -> np.ndarray:
    """u = (r(t0 + time) - r(t0)) / time (frame - frames, tracer, 2) at every t0; `frames` have this time."""
    return np.asarray((positions[frames:] - positions[:-frames]) / time)


def speeds(rates: np.ndarray, edges: np.ndarray, blocks: int = BLOCKS) -> Blocks:
    """Share of |u| in each bin, of all, also those outside: (block, bin)."""
    size = np.hypot(rates[..., 0], rates[..., 1])
    counts = np.array([np.histogram(part, edges)[0] for part in np.array_split(size, blocks)])
    return Blocks(counts, np.array([[part.size] for part in np.array_split(size, blocks)]))


def density(shares: Blocks, edges: np.ndarray) -> Estimate:
    """P(u) (bin,), per unit of the edges (FMB fig. 3a)."""
    return shares.estimate(lambda share: share / np.diff(edges))


def exponent(shares: np.ndarray, edges: np.ndarray, window: tuple[float, float]) -> float:
    """k of a density ~ x^k, from its share in each bin (bin,) within the window: maximum likelihood, empty bins allowed.

    That is, the k for which the mean of ln x over the window is that seen, x being the geometric middle of a bin: no bias from
    the width of the bins if that is a fixed ratio. NaN if fewer than two bins are filled.
    """
    used = (edges[:-1] >= window[0] * (1.0 - 1e-9)) & (edges[1:] <= window[1] * (1.0 + 1e-9))
    share, width, middle = shares[used], np.diff(edges)[used], 0.5 * np.log(edges[:-1] * edges[1:])[used]
    if np.count_nonzero(share) < 2:
        return float("nan")
    seen = np.average(middle, weights=share)

    def excess(k: float) -> float:
        return float(np.average(middle, weights=softmax(np.log(width) + k * middle)) - seen)

    return float(brentq(excess, -1000.0, 1000.0))


def power_law(shares: Blocks, edges: np.ndarray, window: tuple[float, float]) -> Estimate:
    """`exponent` of binned values, with its error."""
    return shares.estimate(lambda share: exponent(share, edges, window))


def displacement_correlation(rates: np.ndarray, lags: np.ndarray, blocks: int = BLOCKS) -> Blocks:
    """<u(t0) . u(t0 + t)> over all origins, by FFT: (block, lag).

    rates : (frame, tracer, 2) from `displacement_rates`; those that overlap in time are correlated for that alone
    lags : (lag,) frames
    """
    return _by_block(rates, lags, blocks, lambda reach, origins, m: _products(reach[:origins], reach, m))


def normalised(correlation: Blocks) -> Estimate:
    """C_u (lag,): the correlation divided by that at the first lag, which has to be 0 (FMB fig. 3c)."""
    return correlation.estimate(lambda mean: mean / mean[0])
