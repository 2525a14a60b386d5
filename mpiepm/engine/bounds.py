"""Upper bounds of the rates, in single precision, at any temperature.

Every site has a bound on its rate, valid while its load (`models.law`) stays below the site's `limit`. A limit lies `margin`
above the present load, or at `deep` if that is higher: below it a site is so slow that a tighter bound is not worth the work.

A row is cut into tiles of TILE sites, whose bounds are summed, checked and renewed together. Single precision goes down to
exp(-87), rates to exp(-1 / T). So a tile keeps its bounds times a `scale`, a power of two that brings the largest of them close
to 1; a bound less than exp(_SPAN) of that is taken as so much, too little to matter. Scales follow from the limits of the tile
alone, not from its past. Sums of bounds are without scale, in double precision.

No bound is below exp(_DEEPEST): all bounds of 1e6 sites would add up to one candidate in `models.activated.LONGEST` sweeps.
"""

import math
from typing import NamedTuple

import numpy as np

from mpiepm.core import vectorised
from mpiepm.core.jit import inlined
from mpiepm.models.activated import Activated
from mpiepm.models.law import Law

TILE = 64            # sites
_SAFETY = 1.0 + 1e-6  # for the rounding to single precision
_SPAN = -80.0        # logarithms: of the smallest bound over the scale, which single precision can still hold
_USUAL = -70.0       # of the largest bound of a tile, above which its scale is 1
_DEEPEST = -690.0    # of the smallest bound, which double precision can still hold
_LARGEST_SHIFT = int((_SPAN - _DEEPEST) / math.log(2.0))


class Rates(NamedTuple):
    """The law of a model, and what its bounds need.

    Attributes
    ----------
    law : see `models.law`
    margin : load by which a limit lies above the present one
    scan_after : ... that a row may have moved until it is looked through
    scaled : can a bound lie so low that its tile needs a scale?
    """

    law: Law
    margin: float
    scan_after: float
    scaled: bool


def rates(model: Activated) -> Rates:
    """From the parameters of the model."""
    law, margin = model.law(), model.margin()
    return Rates(law, margin, 0.5 * margin, law.log_rate(0.0) < _USUAL)


@inlined
def _largest(values: np.ndarray, i: int, first: int, last: int) -> float:
    """Largest of values[i, first:last], from four interleaved ones: a comparison need not wait for the one before."""
    to = np.uint64(first)
    a = values[i, to]
    b, c, d = a, a, a
    quarters = (last - first) // 4
    for _ in range(quarters):
        a = max(a, values[i, to])
        b = max(b, values[i, to + np.uint64(1)])
        c = max(c, values[i, to + np.uint64(2)])
        d = max(d, values[i, to + np.uint64(3)])
        to += np.uint64(4)
    for j in range(first + 4 * quarters, last):
        a = max(a, values[i, j])
    result: float = max(max(a, b), max(c, d))
    return result


@inlined
def _scale(p: Rates, largest: float) -> float:
    """Of a tile with this largest limit: 1, unless its largest bound is below exp(_USUAL)."""
    logarithm = p.law.log_rate(largest)
    shift = min(int(logarithm / -math.log(2.0)), _LARGEST_SHIFT) if logarithm < _USUAL else 0
    return math.ldexp(1.0, shift)


@inlined
def refresh(
    p: Rates, limit: np.ndarray, bound: np.ndarray, scale: np.ndarray, tile: np.ndarray, i: int, t: int
) -> None:  # fmt: skip
    """Scale, bounds and their sum for tile t of row i, from its limits (unsigned indices: see `realspace`)."""
    first, last = t * TILE, min((t + 1) * TILE, limit.shape[1])
    times, lowest, to = 1.0, _SPAN, np.uint64(first)
    if p.scaled:
        times = _scale(p, float(_largest(limit, i, first, last)))
        lowest = _SPAN - math.log(times)
    scale[i, t] = times
    times *= _SAFETY
    law = p.law
    for j in range(np.uint64(last - first)):
        logarithm = law.log_rate(limit[i, to + j])
        bound[i, to + j] = times * vectorised.exp(logarithm if logarithm > lowest else lowest)
    tile[i, t] = sum_of(bound, i, first, last) / scale[i, t]


@inlined
def tighten(p: Rates, deep: float, stress: np.ndarray, limit: np.ndarray, i: int, first: int, last: int) -> None:
    """New limits for the sites first ... last - 1 of row i; their tile is to be refreshed."""
    law, margin, to = p.law, p.margin, np.uint64(first)
    largest = law.load_at(0.0)
    for j in range(np.uint64(last - first)):
        value = law.load(stress[i, to + j]) + margin
        value = value if value > deep else deep
        limit[i, to + j] = value if value < largest else np.inf


@inlined
def renew(
    p: Rates, deep: float, stress: np.ndarray, limit: np.ndarray, bound: np.ndarray, scale: np.ndarray, tile: np.ndarray,
    i: int, t: int,
) -> None:  # fmt: skip
    """New limits, scale, bounds and their sum for tile t of row i."""
    tighten(p, deep, stress, limit, i, t * TILE, min((t + 1) * TILE, limit.shape[1]))
    refresh(p, limit, bound, scale, tile, i, t)


@inlined
def close_to_limit(
    law: Law, limit: np.ndarray, stress: np.ndarray, distance: float, i: int, first: int, last: int
) -> int:  # fmt: skip
    """How many of the sites first ... last - 1 of row i have come within `distance` of their limit."""
    count, to = 0, np.uint64(first)
    for j in range(np.uint64(last - first)):
        count += 1 if law.load(stress[i, to + j]) + distance > limit[i, to + j] else 0
    return count


@inlined
def sum_of(values: np.ndarray, i: int, first: int, last: int) -> float:
    """Sum of values[i, first:last], in four interleaved partial sums: an addition need not wait for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    quarters, to = (last - first) // 4, np.uint64(first)
    for _ in range(quarters):
        a += values[i, to]
        b += values[i, to + np.uint64(1)]
        c += values[i, to + np.uint64(2)]
        d += values[i, to + np.uint64(3)]
        to += np.uint64(4)
    for j in range(first + 4 * quarters, last):
        a += values[i, j]
    return (a + b) + (c + d)
