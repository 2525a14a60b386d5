"""The far field of many events at once: what the harmonic m = 1 does beyond the radius of the stencil, by transforms.

    far(r) = sum_i [c(r - r_i) a_i + s(r - r_i) b_i] + sum_i u_i,   a_i = f_i cos 4 psi_i,  b_i = f_i sin 4 psi_i,

with c = 2 c_1 and s = 2 s_1 outside the radius and 0 inside (`engine.stencil`): two forward transforms and one backward.
The tables are built by the same distributed transforms, so no rank ever holds the lattice.
"""

from typing import NamedTuple

import numpy as np

from mpiepm.core.engine_sections import Split
from mpiepm.engine.stencil import HARMONICS, Stencil, stencil
from mpiepm.grid.domain import Domain
from mpiepm.grid.fft import Transform
from mpiepm.models.activated import Activated


class Sources(NamedTuple):
    """Events that wait for the next far field.

    Attributes
    ----------
    source : float32 (2, local rows, Ly): a and b
    uniform : float64 (local rows,): u, summed over each row
    """

    source: np.ndarray
    uniform: np.ndarray


class FarField:
    """Kernel of `model` on the slabs of `domain`, cut at the radius of `engine`. Construction is collective.

    Attributes
    ----------
    stencil : the near part, the same on all ranks
    sources : of the events that wait
    variance : mean over psi of sum_r far^psi(r) ** 2, per unit stress drop squared
    """

    def __init__(self, domain: Domain, model: Activated, engine: Split) -> None:
        self.domain = domain
        self.stencil, multipliers, self.variance = self._tables(model, engine)
        self.sources = Sources(np.zeros((2, *domain.local_shape), np.float32), np.zeros(domain.local_shape[0]))
        self._transform = Transform(domain, "single", engine.planning)
        self._multipliers = multipliers.astype(self._transform.real)
        self._spectrum = self._transform.empty_spectrum()

    def _tables(self, model: Activated, engine: Split) -> tuple[Stencil, np.ndarray, float]:
        """Stencil, multipliers of the two sources, variance."""
        domain, radius, (lx, ly) = self.domain, engine.radius, self.domain.shape
        transform = Transform(domain, "double", engine.planning)
        kernel = model.response()
        spectra, fine_sums = kernel.spectra(domain.shape, transform.kx, transform.ky, HARMONICS)
        at_zero = transform.sum_columns(spectra.sum(axis=2)) / (lx * ly)
        norm = kernel.norm(domain.shape, transform.sum_columns(fine_sums), at_zero)
        x = np.minimum(np.arange(lx), lx - np.arange(lx))[domain.rows]
        y = np.minimum(np.arange(ly), ly - np.arange(ly))
        near = np.maximum(x[:, None], y[None, :]) <= radius
        beyond = lx * ly - (2 * radius + 1) ** 2
        box = np.empty((len(spectra), 2 * radius + 1, 2 * radius + 1))
        rest = np.zeros(len(spectra))
        field, spectrum = transform.empty(), transform.empty_spectrum()
        multipliers = np.empty((2, *transform.spectral_shape))
        square = 0.0
        for h in range(len(spectra)):
            spectrum[:] = spectra[h] * ((1.0 if h == 0 else 2.0) / (lx * ly))
            transform.backward(spectrum, field)
            box[h] = self._box(field, radius)
            field[near] = 0.0
            if h in (1, 2):
                square += domain.sum_power(field, 2)
                multipliers[h - 1] = transform.forward(field, spectrum).real / (lx * ly)
            else:
                rest[h] = domain.sum_power(field) / beyond if beyond else 0.0
        near_part = stencil(box, rest, norm, domain.shape)
        variance = 0.5 * square * float(np.mean(1.0 / norm**2))
        if variance == 0.0:  # a kernel that is the same everywhere
            variance = domain.sites * float(np.mean(near_part.source[:, 2] ** 2))
        return near_part, multipliers, variance

    def _box(self, field: np.ndarray, radius: int) -> np.ndarray:
        """The field within the radius of r = 0, on all ranks: (2R + 1, 2R + 1)."""
        offsets = np.arange(-radius, radius + 1)
        rows, first = offsets % self.domain.shape[0], self.domain.first_row
        here = np.flatnonzero((rows >= first) & (rows < first + len(field)))
        parts = self.domain.collect((here, field[rows[here] - first][:, offsets % self.domain.shape[1]]))
        box = np.empty((len(offsets), len(offsets)))
        for where, part in parts:
            box[where] = part
        return box

    def flush(self, stress: np.ndarray) -> None:
        """Add the far field of all waiting events of all ranks to `stress` (local rows, Ly); none wait any more. Collective."""

        def fill(k: int, first: int, block: np.ndarray) -> None:
            block[:] = self.sources.source[k, first : first + len(block)]

        self._transform.contract(fill, self._multipliers, self._spectrum, add=False)
        self._transform.backward(self._spectrum, stress, add=True)
        stress += self.domain.sum_rows(self.sources.uniform)
        self.sources.source[:] = 0.0
        self.sources.uniform[:] = 0.0
