"""Averages over chosen pairs of frames: the dynamical structure factor of tracers, and its fit (FMB fig. 2b-d).

    S(q, t) = <(sum_n cos q.dr_n)^2> / M^2

is FMB's, divided by its value at t = 0; it decays with twice the exponent of <cos q.dr>. M independent tracers leave S at
1 / (2M) for large t. Both are averaged over origins and over q along x and y, q = 2 pi k / L; errors as in `tracers`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.tracers import BLOCKS, Blocks


def pairs(times: np.ndarray, lag: float, number: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Frames `lag` apart (to 1e-6 of it): the first and the second of each pair, evenly spaced among all there are."""
    second = np.searchsorted(times, times + (1.0 - 1e-6) * lag)
    first = np.flatnonzero(second < len(times))
    first = first[np.abs(times[second[first]] - times[first] - lag) <= 1e-6 * lag]
    chosen = np.unique(np.linspace(0, max(len(first) - 1, 0), min(number, len(first))).round().astype(int))
    return first[chosen], second[first[chosen]]


def over_pairs(
    positions: np.ndarray, times: np.ndarray, lags: np.ndarray, function: Callable[[np.ndarray], np.ndarray],
    origins: int = 300, blocks: int = BLOCKS,
) -> Blocks:  # fmt: skip
    """Mean of `function(displacements (origin, tracer, 2))` (origin, ...) at every lag: (block, lag, ...).

    times : (frame,) ascending, in any spacing
    lags : (lag,) units of the times; NaN results where no two frames are so far apart
    origins : at most so many for each lag
    """
    edges = np.linspace(times[0], times[-1], blocks + 1)[1:-1]
    totals, numbers = [], []
    for lag in lags:
        first, second = pairs(times, float(lag), origins)
        values = function(positions[second] - positions[first])
        block = np.searchsorted(edges, times[first], side="right")
        total = np.zeros((blocks, *values.shape[1:]))
        np.add.at(total, block, values)
        totals.append(total)
        numbers.append(np.bincount(block, minlength=blocks))
    total, number = np.stack(totals, axis=1), np.stack(numbers, axis=1)
    number = number.reshape(number.shape + (1,) * (total.ndim - 2))
    return Blocks(total, number, lags / (times[-1] - times[0]))


def mean_square_displacement_direct(
    positions: np.ndarray, times: np.ndarray, lags: np.ndarray, origins: int = 300, blocks: int = BLOCKS
) -> Blocks:
    """<|dr|^2>, lattice constants^2, over evenly spaced origins, for frames in any spacing. Arguments like `over_pairs`."""
    return over_pairs(positions, times, lags, lambda dr: (dr**2).sum(axis=2).mean(axis=1), origins, blocks)


@dataclass(frozen=True)
class StructureFactor:
    """S and <cos q.dr> at all lags and wave numbers."""

    times: np.ndarray  # (lag,)
    q: np.ndarray  # (wave,), per lattice constant
    square: Blocks  # S (block, lag, wave)
    cosine: Blocks  # <cos q.dr> (block, lag, wave)


def structure_factor(
    positions: np.ndarray, times: np.ndarray, lags: np.ndarray, k: np.ndarray, length: float,
    origins: int = 300, blocks: int = BLOCKS,
) -> StructureFactor:  # fmt: skip
    """S(q, t) of one run.

    positions : (frame, tracer, 2), unwrapped, lattice constants
    times : (frame,) ascending, in any spacing
    lags : (lag,) units of the times
    k : (wave,) positive integers
    length : L, lattice constants
    origins : at most so many for each lag, evenly spaced
    """
    q = 2.0 * np.pi * k / length

    def values(displacements: np.ndarray) -> np.ndarray:
        cosine = np.stack([np.cos(wave * displacements).mean(axis=1) for wave in q], axis=1)  # (origin, wave, axis)
        return np.asarray(np.stack([cosine**2, cosine], axis=-1).mean(axis=2))

    both = over_pairs(positions, times, lags, values, origins, blocks)
    square, cosine = (Blocks(both.total[..., i], both.number[..., 0], both.share) for i in range(2))
    return StructureFactor(lags, q, square, cosine)


@dataclass(frozen=True)
class Collapse:
    """exp(-alpha (q^n t)^gamma) fitted to a structure factor."""

    shape: Estimate  # gamma
    wave_exponent: Estimate  # n
    prefactor: Estimate  # alpha, in lattice constants and the units of time
    points: int  # how many were fitted

    def __str__(self) -> str:
        return f"gamma = {self.shape}, n = {self.wave_exponent}, alpha = {self.prefactor} ({self.points} points)"


def collapse(
    factor: Blocks, times: np.ndarray, q: np.ndarray, time_window: tuple[float, float], q_window: tuple[float, float],
    level: tuple[float, float] = (0.05, 0.97),
) -> Collapse:  # fmt: skip
    """Least squares of ln(-ln S) on (1, ln t, ln q): gamma = slope_t, n = slope_q / slope_t, alpha = e^constant.

    factor : S, or <cos q.dr>, (block, lag, wave)
    time_window, q_window : smallest and largest t and q, included
    level : only values between; which these are is decided by the mean over all blocks
    """
    mean = factor.mean(np.arange(len(factor.total)))
    t, k = np.meshgrid(times, q, indexing="ij")
    used = (level[0] < mean) & (mean < level[1])
    for value, (low, high) in ((t, time_window), (k, q_window)):
        used &= (low * (1.0 - 1e-9) <= value) & (value <= high * (1.0 + 1e-9))
    columns = np.stack([np.ones(used.sum()), np.log(t[used]), np.log(k[used])], axis=1)
    points = len(columns)
    if points < 3 or np.linalg.matrix_rank(columns) < 3:
        unknown = Estimate(float("nan"), float("nan"))
        return Collapse(unknown, unknown, unknown, points)
    inverse = np.linalg.pinv(columns)

    def parameters(values: np.ndarray) -> np.ndarray:
        constant, slope_t, slope_q = inverse @ np.log(-np.log(values[used]))
        return np.array([slope_t, slope_q / slope_t, np.exp(constant)])

    fit = factor.estimate(parameters, np.flatnonzero(used.any(axis=1)))
    correlation = np.broadcast_to(fit.correlation, (3,))  # 1 for a single block
    shape, exponent, prefactor = (Estimate(float(fit.value[i]), float(fit.error[i]), float(correlation[i])) for i in range(3))
    return Collapse(shape, exponent, prefactor, points)
