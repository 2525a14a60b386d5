"""Events of finite duration: when a site is activated and when it comes to rest (Ferrero, Martens & Barrat 2014, eq. 2).

A site at rest is activated at the rate

    thermal:  Gamma_0 min(1, exp((sigma^2 - sigma_Y^2) / (2 T))), with the sign of its stress,
    random:   a / (1 - a) / tau_res, with a random sign: then a share a of the sites is active,

and an active one comes to rest at the rate 1 / tau_res. Rates are taken as probabilities per step, p = rate dt. While a site is
active, with sign n, it deforms at the rate n epsilon_0 / 2 (per tau).

Most sites are far from sigma_Y, where p is below a bound that belongs to |sigma| = `limit`. So no site within the limit is
looked at: of each row, candidates are drawn with the probability of the bound, by the geometric law of the distance to the
next, and accepted with p / bound. That is exact. The rest, and active sites, are tested one by one.
"""

import math
from typing import NamedTuple

import numpy as np

from mpiepm.core.ferrero_sections import Ferrero
from mpiepm.core.jit import njit
from mpiepm.core.streams import Stream
from mpiepm.grid.rng import exponential, philox, uniform

_SITE, _CANDIDATE = int(Stream.STEP_SITE), int(Stream.STEP_CANDIDATE)
_LOOSENESS = 8.0    # bound / probability at sigma = 0: at high T, candidates are then about as many as sites beyond the limit
_LEAST_BOUND = 2e-3  # at low T: candidates cost nothing, and few sites are beyond the limit


class Rules(NamedTuple):
    """Numbers of the model, for a step of given length.

    Attributes
    ----------
    thermal : else random
    largest : activation probability at and beyond the threshold
    exponent, square : 1 / (2 T) and sigma_Y^2
    limit, bound : no site with |sigma| <= limit has an activation probability above the bound
    skip : mean distance between candidates, as 1 / -ln(1 - bound); 0 if every site is one, inf if none is
    rest : probability that an active site comes to rest
    strain : plastic strain of an active site in one step
    """

    thermal: bool
    largest: float
    exponent: float
    square: float
    limit: float
    bound: float
    skip: float
    rest: float
    strain: float


def rules(model: Ferrero, time_step: float) -> Rules:
    """The rules of `model` for steps of length `time_step`."""
    rest, strain = time_step / model.restructuring_time, 0.5 * model.eps0 * time_step
    if model.activation == "random":
        assert model.activity is not None
        bound = rest * model.activity / (1.0 - model.activity)
        return Rules(False, bound, 0.0, 0.0, math.inf, bound, _skip(bound), rest, strain)
    assert model.temperature is not None
    largest, exponent, square = model.gamma0 * time_step, 0.5 / model.temperature, model.threshold**2
    bound = min(largest, max(_LEAST_BOUND, _LOOSENESS * largest * math.exp(-square * exponent)))
    limit = math.inf if bound == largest else math.sqrt(max(0.0, square + math.log(bound / largest) / exponent))
    return Rules(True, largest, exponent, square, limit, bound, _skip(bound), rest, strain)


def _skip(bound: float) -> float:
    if bound == 0.0:
        return math.inf
    return 0.0 if bound >= 1.0 else -1.0 / math.log1p(-bound)


@njit
def activation(stress: float, rules: Rules) -> float:
    """Probability that a site at rest is activated in one step."""
    distance = stress * stress - rules.square
    if not rules.thermal or distance >= 0.0:
        return rules.largest
    return rules.largest * math.exp(distance * rules.exponent)


@njit
def _site_uniform(seed: int, column: int, row: int, step: int, cache: np.ndarray) -> float:
    """The draw of a site; `cache` (5,) uint64 holds the four words of the group of sites that was asked for last."""
    group = column // 4
    if cache[4] != np.uint64(group + 1):
        cache[0], cache[1], cache[2], cache[3] = philox(seed, _SITE, group, row, step, 0)
        cache[4] = group + 1
    return uniform(cache[column % 4])


@njit
def switch(
    first_row: int, step: int, seed: int, rules: Rules, change: np.ndarray,
    stress: np.ndarray, active: np.ndarray, strain: np.ndarray, marks: np.ndarray, words: np.ndarray,
    found: int, row: np.ndarray, column: np.ndarray, sign: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Some rows, one step on: stress += change; then every site may switch, by its new stress and its old sign.

    Parameters
    ----------
    first_row : global index of the first of these rows;  step : number of the step, which names the draws
    change, stress, active, strain : (rows, Ly)
    marks, words : working memory, the same bytes as uint8 (8 n,) and uint64 (n,), 8 n >= Ly, zero beyond Ly
    found : events that row, column and sign (float64) hold already; they must have room for all of these sites

    Returns
    -------
    Events that row, column and sign hold now, and the change of the number of active sites.
    """
    rows, columns = stress.shape
    cache = np.zeros(5, np.uint64)
    balance = 0
    limit = rules.limit
    for i in range(rows):
        s, n = stress[i], active[i]
        for j in range(columns):
            s[j] += change[i, j]
        for j in range(columns):
            marks[j] = (abs(s[j]) > limit) | (n[j] != 0)
        cache[4] = 0
        for w in range(words.size):
            if words[w] == 0:
                continue
            for j in range(8 * w, min(8 * w + 8, columns)):
                if marks[j] == 0:
                    continue
                u = _site_uniform(seed, j, first_row + i, step, cache)
                if n[j] != 0:
                    strain[i, j] += n[j] * rules.strain
                    if u < rules.rest:
                        n[j] = 0
                        balance -= 1
                elif u < activation(s[j], rules):
                    n[j] = 1 if s[j] > 0.0 else -1
                    row[found], column[found], sign[found] = first_row + i, j, n[j]
                    found += 1
                    balance += 1
        candidate = 0
        j = -1
        while True:
            w0, w1, w2, _ = philox(seed, _CANDIDATE, candidate, first_row + i, step, 0)
            candidate += 1
            gap = exponential(w0) * rules.skip  # may exceed every integer
            if not gap < columns - 1 - j:
                break
            j += 1 + int(gap)
            if marks[j] == 0 and uniform(w1) * rules.bound < activation(s[j], rules):
                up = w2 & np.uint64(1) == np.uint64(0) if not rules.thermal or s[j] == 0.0 else s[j] > 0.0
                n[j] = 1 if up else -1
                row[found], column[found], sign[found] = first_row + i, j, n[j]
                found += 1
                balance += 1
    return found, balance
