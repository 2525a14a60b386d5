"""The kernel of EPM-Q in real space: tables of its angular harmonics, for one event at a time.

An event of orientation psi and stress drop delta at r = 0 changes the stress elsewhere by (`kernels.eshelby`)

    f [c_0(r) + 2 sum_m c_m(r) cos(4 m psi) + 2 sum_m s_m(r) sin(4 m psi)],   f = delta / N(psi).

The higher a harmonic, the shorter its range. Each one is tabulated for |x|, |y| <= R_m only and replaced by a constant
beyond: the mean of what is left out, so that its sum over the lattice, and with it the drift of the mean stress, stays
exact. R_m is the smallest that keeps every value within `TOLERANCE`; m = 1 falls as r^-2 and is kept nearly everywhere.

Reflection in x changes the sign of s_m and nothing else, so rows 0 ... R_m suffice. A row is stored twice in
succession, y = 0 ... 2 Ly - 1: the kernel seen from any column is then one contiguous stretch.
"""

from typing import NamedTuple

import numpy as np

from mpiepm.core.jit import inlined, njit
from mpiepm.kernels import harmonics as kernel_harmonics
from mpiepm.kernels.harmonics import Kernel

HARMONICS = 8
TOLERANCE = 1e-7  # per harmonic; the whole kernel is then within 1e-6 of the exact one (tests/unit/test_realspace.py)


class Tables(NamedTuple):
    """Tables of a kernel, in the form that compiled code takes.

    Attributes
    ----------
    values : float32 (n,): the rows of c_0, 2 c_1, 2 s_1, 2 c_2, ..., less the constants
    offset : int64 (2M + 1,): where in `values` each of them begins;  row x begins 2 Ly x further
    radius : int64 (M + 1,): R_m, from m = 1 on not increasing;  -1 for a harmonic that is nowhere above the tolerance
    rest : float64 (2M + 1,): the constants
    inverse_norm : float64 (k,): 1 / N(psi) = sum_k inverse_norm[k] cos(4 k psi)
    reach : float64 (Lx // 2 + 1,): upper bound of |stress change / f| at any site |x| rows away and any psi
    shape : (Lx, Ly)
    """

    values: np.ndarray
    offset: np.ndarray
    radius: np.ndarray
    rest: np.ndarray
    inverse_norm: np.ndarray
    reach: np.ndarray
    shape: tuple[int, int]


def tables(shape: tuple[int, int], kernel: Kernel, tolerance: float = TOLERANCE) -> Tables:
    """Tables of `kernel` on a lattice of `shape`; serial, 17 float64 fields of the lattice in memory for a moment."""
    lx, ly = shape
    harmonics, norm = kernel_harmonics.real_space(shape, kernel, HARMONICS)
    harmonics[1:] *= 2.0
    harmonics[:, 0, 0] = 0.0  # what an event does to its own site is no matter of the harmonics
    x = np.minimum(np.arange(lx), lx - np.arange(lx))
    y = np.minimum(np.arange(ly), ly - np.arange(ly))
    distance = np.maximum(x[:, None], y[None, :]).ravel()
    single = [_radius(field.ravel(), distance, tolerance) for field in harmonics]
    radius = np.array([single[0]] + [max(single[2 * m - 1 : 2 * m + 1]) for m in range(1, HARMONICS + 1)])
    radius[1:] = np.maximum.accumulate(radius[:0:-1])[::-1]
    rest = np.array([_mean_beyond(field.ravel(), distance, radius[(h + 1) // 2]) for h, field in enumerate(harmonics)])
    stored, offset, position = [], [], 0
    strength = np.zeros((HARMONICS + 1, lx // 2 + 1, ly))  # of a harmonic at its worst psi
    for h, field in enumerate(harmonics):
        r = int(radius[(h + 1) // 2])
        rows = np.where(y <= r, field[: min(r, lx // 2) + 1] - rest[h], 0.0) if r >= 0 else np.empty((0, ly))
        stored.append(np.concatenate([rows, rows], axis=1).astype(np.float32).ravel())
        offset.append(position)
        position += stored[-1].size
        strength[(h + 1) // 2, : len(rows)] += rows**2
    strength[:, 0, 0] = 0.0
    amplitude = np.sqrt(strength).sum(axis=0).max(axis=1)
    uniform = abs(rest[0]) + sum(np.hypot(rest[2 * m - 1], rest[2 * m]) for m in range(1, HARMONICS + 1))
    return Tables(
        values=np.concatenate(stored), offset=np.array(offset), radius=radius, rest=rest,
        inverse_norm=kernel_harmonics.inverse_norm_series(norm), reach=(amplitude + uniform) * (1.0 + 1e-5), shape=shape,
    )  # fmt: skip


def nothing(shape: tuple[int, int]) -> Tables:
    """Tables of no kernel at all, for a lattice without elasticity."""
    none = np.zeros(0)
    return Tables(none.astype(np.float32), none.astype(int), none.astype(int), none, none, none, shape)


def _mean_beyond(field: np.ndarray, distance: np.ndarray, radius: int) -> float:
    beyond = field[distance > radius]
    return float(beyond.mean()) if beyond.size else 0.0


def _radius(field: np.ndarray, distance: np.ndarray, tolerance: float) -> int:
    """Smallest radius beyond which the field is within `tolerance` of its mean there; -1 if it is everywhere."""
    shells = int(distance.max()) + 1
    largest, smallest = np.full(shells, -np.inf), np.full(shells, np.inf)
    np.maximum.at(largest, distance, field)
    np.minimum.at(smallest, distance, field)
    total, count = np.bincount(distance, field), np.bincount(distance)
    # over all shells from each one outwards
    largest = np.maximum.accumulate(largest[::-1])[::-1]
    smallest = np.minimum.accumulate(smallest[::-1])[::-1]
    mean = np.cumsum(total[::-1])[::-1] / np.cumsum(count[::-1])[::-1]
    outside = np.maximum(largest - mean, mean - smallest) > tolerance
    return int(np.flatnonzero(outside)[-1]) if outside.any() else -1


@njit
def weigh(tables: Tables, drop: float, angle: float, out: np.ndarray) -> float:
    """Weights of the harmonics for one event.

    Fill `out` (2M + 1,) with f, f cos 4 psi, f sin 4 psi, f cos 8 psi, ..., and return what every site receives.
    """
    c, s = np.cos(4.0 * angle), np.sin(4.0 * angle)
    value, re, im = tables.inverse_norm[0], 1.0, 0.0
    for k in range(1, tables.inverse_norm.size):
        re, im = re * c - im * s, re * s + im * c
        value += tables.inverse_norm[k] * re
    f = drop * value
    out[0] = f
    uniform: float = f * tables.rest[0]
    re, im = f, 0.0
    for m in range(1, tables.radius.size):
        re, im = re * c - im * s, re * s + im * c
        out[2 * m - 1], out[2 * m] = re, im
        uniform += re * tables.rest[2 * m - 1] + im * tables.rest[2 * m]
    return uniform


@inlined
def _add_pair(
    stress: np.ndarray, i: int, first: int, count: int, values: np.ndarray, c: int, s: int,
    uniform: float, a: float, b: float,
) -> None:  # fmt: skip
    """stress[i, first + j] += uniform + a values[c + j] + b values[s + j] for j < count.

    Unsigned indices, for numba would treat negative ones as counted from the end, and slices cost more than short stretches.
    """
    a32, b32 = np.float32(a), np.float32(b)
    to, c_to, s_to = np.uint64(first), np.uint64(c), np.uint64(s)
    for j in range(np.uint64(count)):
        stress[i, to + j] += uniform + (a32 * values[c_to + j] + b32 * values[s_to + j])


@inlined
def _add_two_pairs(
    stress: np.ndarray, i: int, values: np.ndarray, c: int, s: int, uniform: float, a: float, b: float,
    c2: int, s2: int, uniform2: float, a2: float, b2: float,
) -> None:  # fmt: skip
    """`_add_pair` twice, over a whole row: the same operations, but the stress is read and written once."""
    a32, b32, a_other, b_other = np.float32(a), np.float32(b), np.float32(a2), np.float32(b2)
    c_to, s_to, c_other, s_other = np.uint64(c), np.uint64(s), np.uint64(c2), np.uint64(s2)
    for j in range(np.uint64(stress.shape[1])):
        once = stress[i, j] + (uniform + (a32 * values[c_to + j] + b32 * values[s_to + j]))
        stress[i, j] = once + (uniform2 + (a_other * values[c_other + j] + b_other * values[s_other + j]))


@inlined
def _add_one(stress: np.ndarray, i: int, first: int, count: int, values: np.ndarray, c: int, a: float) -> None:
    """stress[i, first + j] += a values[c + j] for j < count."""
    a32, to, c_to = np.float32(a), np.uint64(first), np.uint64(c)
    for j in range(np.uint64(count)):
        stress[i, to + j] += a32 * values[c_to + j]


@inlined
def stretch(part: int, column: int, radius: int, length: int) -> tuple[int, int]:
    """First column and number of columns of a part of column - radius ... column + radius in a periodic row.

    Part 0, and where the row ends within the radius, a second stretch at one of its ends: parts 1 and 2.
    """
    if 2 * radius + 1 >= length:
        return 0, length if part == 0 else 0
    if part == 0:
        first = max(column - radius, 0)
        return first, min(column + radius + 1, length) - first
    if part == 1:
        return 0, max(column + radius + 1 - length, 0)
    first = min(column - radius + length, length)
    return first, length - first


@inlined
def _distance(dx: int, lx: int) -> tuple[int, float]:
    """Number of rows between two that are dx apart on a periodic lattice, -Lx < dx < Lx, and the sign of the shorter way."""
    row, sign = (dx, 1.0) if dx >= 0 else (-dx, -1.0)
    return (row, sign) if 2 * row <= lx else (lx - row, -sign)


@inlined
def add_to_row(
    values: np.ndarray, offset: np.ndarray, radius: np.ndarray, lx: int, ly: int,
    dx: int, column: int, uniform: float, weights: np.ndarray, e: int, stress: np.ndarray, i: int,
) -> None:  # fmt: skip
    """Add the stress change of an event to row `i` of `stress` (rows, Ly), `dx` rows below the event, -Lx < dx < Lx.

    The first five arguments are those of `Tables`, which compiled code unpacks slowly; `uniform` and row `e` of `weights` come
    from `weigh`.
    The event's own site gets garbage. Every site receives the same operations in the same order wherever the lattice is cut.
    """
    row, sign = _distance(dx, lx)
    start = 2 * ly * row + ly - column
    if row > radius[1]:
        for j in range(ly):
            stress[i, j] += uniform
    for m in range(1, radius.size):  # the ranges fall with m
        if row > radius[m]:
            break
        k = uniform if m == 1 else 0.0
        for part in range(3):
            first, count = stretch(part, column, radius[m], ly)
            if count > 0:
                c, s = offset[2 * m - 1] + start + first, offset[2 * m] + start + first
                _add_pair(stress, i, first, count, values, c, s, k, weights[e, 2 * m - 1], sign * weights[e, 2 * m])
    if row <= radius[0]:
        for part in range(3):
            first, count = stretch(part, column, radius[0], ly)
            if count > 0:
                _add_one(stress, i, first, count, values, offset[0] + start + first, weights[e, 0])


@inlined
def add_two_to_row(
    values: np.ndarray, offset: np.ndarray, lx: int, ly: int, dx: int, column: int, uniform: float,
    dx2: int, column2: int, uniform2: float, weights: np.ndarray, e: int, stress: np.ndarray, i: int,
) -> None:  # fmt: skip
    """`add_to_row` for events e and e + 1 in a row that only m = 1 of both reaches: the same bits, a fifth faster."""
    row, sign = _distance(dx, lx)
    row2, sign2 = _distance(dx2, lx)
    start, start2 = 2 * ly * row + ly - column, 2 * ly * row2 + ly - column2
    _add_two_pairs(
        stress, i, values, offset[1] + start, offset[2] + start, uniform, weights[e, 1], sign * weights[e, 2],
        offset[1] + start2, offset[2] + start2, uniform2, weights[e + 1, 1], sign2 * weights[e + 1, 2],
    )  # fmt: skip
