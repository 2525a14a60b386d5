"""Stress redistribution of a batch of events of any orientations, by distributed transforms.

With f_i = delta_i / N(psi_i) the stress change of every other site is (`physics.eshelby`)

    sum_i g^psi_i(r - r_i) f_i = c_0 * f + 2 sum_m [c_m * (f cos 4 m psi) + s_m * (f sin 4 m psi)],

2M + 1 forward transforms and one backward. The kernels have their value at r = 0 taken out: what an event does to its
own site is not a matter of the harmonics but exactly the stress drop.
"""

import math

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.core.params import Epmq, Sweep
from mpiepm.grid.domain import Domain
from mpiepm.grid.fft import Transform
from mpiepm.physics import eshelby
from mpiepm.physics.state import Events

_FIELDS_AT_ONCE = 3            # of a large lattice, to bound the memory
_STACK_BYTES = 32 * 1024**2    # a lattice small enough to send all its fields in one exchange


@njit
def _source_weights(drop: np.ndarray, angle: np.ndarray, inverse_norm: np.ndarray, weights: np.ndarray) -> None:
    """f, f cos 4 psi, f sin 4 psi, f cos 8 psi, ... for every event: weights (2M + 1, n)."""
    for e in range(drop.size):
        c, s = math.cos(4.0 * angle[e]), math.sin(4.0 * angle[e])
        # Clenshaw's recurrence for 1 / N(psi) = sum_k n_k cos(4 k psi)
        b1, b2 = 0.0, 0.0
        for k in range(inverse_norm.size - 1, 0, -1):
            b1, b2 = inverse_norm[k] + 2.0 * c * b1 - b2, b1
        f = drop[e] * (inverse_norm[0] + c * b1 - b2)
        weights[0, e] = f
        re, im = f, 0.0
        for m in range(1, (weights.shape[0] + 1) // 2):
            re, im = re * c - im * s, re * s + im * c
            weights[2 * m - 1, e] = re
            weights[2 * m, e] = im


@njit
def _deposit(first_row: int, row: np.ndarray, column: np.ndarray, weights: np.ndarray, fields: np.ndarray) -> None:
    """Put the sources of all events on their sites; `fields` is zero elsewhere."""
    for k in range(fields.shape[0]):
        for e in range(row.size):
            fields[k, row[e] - first_row, column[e]] = 0.0
        for e in range(row.size):
            fields[k, row[e] - first_row, column[e]] += weights[k, e]


@njit
def _clear(first_row: int, row: np.ndarray, column: np.ndarray, fields: np.ndarray) -> None:
    for k in range(fields.shape[0]):
        for e in range(row.size):
            fields[k, row[e] - first_row, column[e]] = 0.0


@njit
def _add(change: np.ndarray, stress: np.ndarray) -> None:
    for i in range(stress.shape[0]):
        for j in range(stress.shape[1]):
            stress[i, j] += change[i, j]


class Redistribution:
    """The kernel of a model on the slabs of `domain`, ready to spread batches of events.

    Attributes
    ----------
    inverse_norm : coefficients of 1 / N(psi) in cos(4 k psi)
    """

    def __init__(self, domain: Domain, model: Epmq, engine: Sweep) -> None:
        self.domain = domain
        self.transform = Transform(domain, engine.precision, engine.planning)
        transform, (lx, ly) = self.transform, domain.shape
        spectra, fine_sums = eshelby.spectra(domain.shape, transform.kx, transform.ky, engine.harmonics)
        at_zero = transform.sum_columns(spectra.sum(axis=2)) / (lx * ly)
        if model.kernel == "paper":
            norm = -transform.sum_columns(fine_sums) / (4 * lx * ly)
        else:
            norm = -eshelby.harmonic_sum(at_zero, eshelby.quadrature_angles())
        self.inverse_norm = eshelby.inverse_norm_series(norm)
        spectra -= at_zero[:, None, None]
        spectra[1:] *= 2.0
        spectra /= lx * ly  # the transform pair is unnormalised
        self._multipliers = spectra.astype(transform.real)
        stack = len(spectra) * int(np.prod(domain.local_shape)) * transform.real.itemsize
        largest = int(domain.comm.allreduce(stack, max))
        self._at_once = len(spectra) if largest <= _STACK_BYTES else _FIELDS_AT_ONCE
        self._fields = transform.empty(self._at_once)
        self._fields[:] = 0.0
        self._spectrum = transform.empty_spectrum()

    def spread(self, events: Events, stress: np.ndarray) -> None:
        """Add to `stress` (local rows, Ly) what all events of all ranks do to the other sites. Collective."""
        weights = np.empty((len(self._multipliers), len(events)))
        _source_weights(events.drop, events.angle, self.inverse_norm, weights)
        first_row = self.domain.first_row
        for start in range(0, len(weights), self._at_once):
            chunk = slice(start, start + self._at_once)
            fields = self._fields[: len(weights[chunk])]
            _deposit(first_row, events.row, events.column, weights[chunk], fields)
            self.transform.contract(fields, self._multipliers[chunk], self._spectrum, add=start > 0)
        change = self.transform.backward(self._spectrum, self._fields[0])
        _add(change, stress)
        change[:] = 0.0
        _clear(first_row, events.row, events.column, self._fields[1:])
