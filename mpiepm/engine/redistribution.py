"""Stress redistribution of a batch of events of any orientations, by distributed transforms.

With f_i = delta_i / N(psi_i) the stress change of every other site is (`kernels.eshelby`)

    sum_i g^psi_i(r - r_i) f_i = c_0 * f + 2 sum_m [c_m * (f cos 4 m psi) + s_m * (f sin 4 m psi)],

2M + 1 forward transforms and one backward. The kernels have their value at r = 0 taken out: what an event does to its
own site is not a matter of the harmonics but exactly the stress drop.
"""

import math

import numpy as np

from mpiepm.core.engine_sections import Sweep
from mpiepm.core.jit import njit
from mpiepm.grid.domain import Domain
from mpiepm.grid.fft import Transform
from mpiepm.kernels import harmonics as kernel_harmonics
from mpiepm.models.activated import Activated
from mpiepm.models.state import Events

_FIELDS_AT_ONCE = 3            # of a large lattice, to bound the memory
_STACK_BYTES = 32 * 1024**2    # a lattice small enough to send all its fields in one exchange
_ANGLE_STEPS = 4096            # intervals of the table over psi: interpolation errors below 1e-14


@njit
def _sources(
    first_row: int, row: np.ndarray, column: np.ndarray, drop: np.ndarray, angle: np.ndarray, table: np.ndarray,
    slot: np.ndarray, begin: np.ndarray, site_column: np.ndarray, weights: np.ndarray,
) -> int:  # fmt: skip
    """Sites with events, and for each the sum over its events of f, f cos 4 psi, f sin 4 psi, f cos 8 psi, ...

    Returns the number of sites n, after filling begin (local rows + 1,), where each row's sites begin, their columns
    site_column (n,) and weights (2M + 1, n). `table` is that of `angle_table`; `slot` (Ly,) is working memory. Events
    come row by row.
    """
    steps = table.shape[0] - 1
    scale = steps / (0.5 * math.pi)
    found, rows = 0, 0
    begin[0] = 0
    for e in range(row.size):
        while rows < row[e] - first_row:
            rows += 1
            begin[rows] = found
        j = column[e]
        n = slot[j]
        if n < begin[rows] or n >= found or site_column[n] != j:
            n = found
            slot[j] = n
            site_column[n] = j
            for k in range(weights.shape[0]):
                weights[k, n] = 0.0
            found += 1
        # 1 / N(psi) by cubic Hermite interpolation; cos and sin of 4 psi by the addition theorem from the node below
        x = angle[e] * scale
        cell = min(int(x), steps - 1)
        u = x - cell
        v0, d0, v1, d1 = table[cell, 0], table[cell, 1], table[cell + 1, 0], table[cell + 1, 1]
        value = v0 + u * (d0 + u * (3.0 * (v1 - v0) - 2.0 * d0 - d1 + u * (2.0 * (v0 - v1) + d0 + d1)))
        delta = 4.0 * u / scale
        square = delta * delta
        small_c = 1.0 - square * (0.5 - square / 24.0)
        small_s = delta * (1.0 - square * (1.0 / 6.0 - square / 120.0))
        node_c, node_s = table[cell, 2], table[cell, 3]
        c, s = node_c * small_c - node_s * small_s, node_s * small_c + node_c * small_s
        re, im = drop[e] * value, 0.0
        weights[0, n] += re
        for m in range(1, (weights.shape[0] + 1) // 2):
            re, im = re * c - im * s, re * s + im * c
            weights[2 * m - 1, n] += re
            weights[2 * m, n] += im
    while rows < begin.size - 1:
        rows += 1
        begin[rows] = found
    return found


@njit
def _deposit(first: int, begin: np.ndarray, column: np.ndarray, weight: np.ndarray, block: np.ndarray) -> None:
    """Rows first, first + 1, ... of a source field: zero but on the sites with events."""
    for i in range(block.shape[0]):
        block[i] = 0.0
        for n in range(begin[first + i], begin[first + i + 1]):
            block[i, column[n]] = weight[n]


class Redistribution:
    """The kernel of a model on the slabs of `domain`, ready to spread batches of events.

    Construction is collective.
    """

    def __init__(self, domain: Domain, model: Activated, engine: Sweep) -> None:
        self.domain = domain
        self.transform = Transform(domain, engine.precision, engine.planning)
        transform, (lx, ly) = self.transform, domain.shape
        kernel = model.response()
        spectra, fine_sums = kernel.spectra(domain.shape, transform.kx, transform.ky, engine.harmonics)
        at_zero = transform.sum_columns(spectra.sum(axis=2)) / (lx * ly)
        norm = kernel.norm(domain.shape, transform.sum_columns(fine_sums), at_zero)
        self._table = kernel_harmonics.angle_table(norm, _ANGLE_STEPS)
        self._slot = np.zeros(ly, np.int64)
        self._begin = np.empty(domain.local_shape[0] + 1, np.int64)
        spectra -= at_zero[:, None, None]
        spectra[1:] *= 2.0
        spectra /= lx * ly  # the transform pair is unnormalised
        self._multipliers = spectra.astype(transform.real)
        largest = max(domain.collect(int(np.prod(domain.local_shape)))) * transform.real.itemsize
        self._at_once = len(spectra) if len(spectra) * largest <= _STACK_BYTES else _FIELDS_AT_ONCE
        self._spectrum = transform.empty_spectrum()
        self._reserve(1024)

    def spread(self, events: Events, stress: np.ndarray) -> None:
        """Add to `stress` (local rows, Ly) what all events of all ranks do to the other sites. Collective.

        Events must come row by row.
        """
        begin, column, weights = self.sources(events)
        for start in range(0, len(weights), self._at_once):

            def fill(k: int, first: int, block: np.ndarray, start: int = start) -> None:
                _deposit(first, begin, column, weights[start + k], block)

            multipliers = self._multipliers[start : start + self._at_once]
            self.transform.contract(fill, multipliers, self._spectrum, add=start > 0)
        self.transform.backward(self._spectrum, stress, add=True)

    def sources(self, events: Events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sites of this rank with events, row by row, and their weights in each of the 2M + 1 source fields.

        The arrays are working memory, valid until the next call.

        Returns
        -------
        begin : int64 (local rows + 1,), where the sites of each row begin;  column : int64 (n,)
        weights : float64 (2M + 1, n)
        """
        if len(events) > len(self._column):
            self._reserve(2 * len(events))
        found = _sources(
            self.domain.first_row, events.row, events.column, events.drop, events.angle, self._table,
            self._slot, self._begin, self._column, self._weights,
        )  # fmt: skip
        return self._begin, self._column[:found], self._weights[:, :found]

    def _reserve(self, capacity: int) -> None:
        self._column, self._weights = np.empty(capacity, np.int64), np.empty((len(self._multipliers), capacity))
