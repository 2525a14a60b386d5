"""A kernel of one's own in one file, mean field: an event takes delta from its site and gives delta / (N - 1) to all others.

mpiepm run --import examples/own_kernel.py params.toml --set model.name=mean-field
"""

from typing import Literal

import numpy as np

from mpiepm.kernels.harmonics import ANGLES, Kernel
from mpiepm.models.epmq import Epmq


class Uniform:
    """g(r) = 1 / (N - 1), g(0) = -1: its spectrum is -N / (N - 1) but at q = 0, where it is 0. It knows no orientation."""

    def spectra(
        self, shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, harmonics: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `mpiepm.kernels.harmonics`: c_0 alone."""
        sites = shape[0] * shape[1]
        spectra = np.zeros((2 * harmonics + 1, len(ky), len(kx)))
        spectra[0] = np.where((ky[:, None] == 0) & (kx == 0), 0.0, -sites / (sites - 1))
        return spectra, np.zeros((ANGLES, len(ky)))

    def norm(self, shape: tuple[int, int], column_sum: np.ndarray, at_zero: np.ndarray) -> np.ndarray:
        """1: g(0) is -1 already."""
        return np.ones(ANGLES)


class MeanField(Epmq):
    """[model] name = "mean-field": EPM-Q with this kernel."""

    name: Literal["mean-field"] = "mean-field"  # type: ignore[assignment]

    def response(self) -> Kernel:
        """The kernel by which other sites feel an event."""
        return Uniform()
