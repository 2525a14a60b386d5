"""Kernels of events of any orientation, as angular harmonics with spectra on the wave vectors of the lattice.

An event of orientation psi and stress drop delta at r = 0 changes the stress of every other site by g^psi(r) delta / N(psi),
and that of its own site by -delta. With

       g^psi(r) = c_0(r) + 2 sum_{m=1..M} [c_m(r) cos(4 m psi) + s_m(r) sin(4 m psi)]

a batch of events is spread by 2M + 1 forward transforms and one backward: a matrix of 1 x (2M + 1) spectra. A kernel that does
not know the orientation has c_0 alone. A kernel is a class in a file of its own that has the methods of `Kernel`; all
propagators take it (`engine.redistribution`, `engine.realspace`, `engine.farfield`).
"""

from typing import Protocol

import numpy as np

from mpiepm.grid.fft import whole_wave_numbers

ANGLES = 48  # quadrature points in psi; harmonic m is contaminated by harmonic ANGLES - m, below 1e-16 for m <= 16


class Kernel(Protocol):
    """What the module's text says."""

    def spectra(
        self, shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, harmonics: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of the harmonics of g on given wave vectors, and what N needs of these columns.

        Parameters
        ----------
        shape : (Lx, Ly) of the lattice
        kx, ky : integer wave numbers: kx in FFT order over the whole lattice, ky any of 0 ... Ly // 2
        harmonics : M

        Returns
        -------
        spectra : float64 (2M + 1, ky, kx): c_0, c_1, s_1, c_2, s_2, ..., before r = 0 is taken out
        column_sums : float64 (ANGLES, ky), of whatever the norm is made from; zeros if it is made from g(0)
        """

    def norm(self, shape: tuple[int, int], column_sum: np.ndarray, at_zero: np.ndarray) -> np.ndarray:
        """N at `quadrature_angles` (ANGLES,).

        column_sum : (ANGLES,), sum of the column sums over all ky, twice those that are not their own mirror image
        at_zero : (2M + 1,), the harmonics of g at r = 0
        """


def quadrature_angles() -> np.ndarray:
    """Equally spaced orientations in [0, pi/2): the trapezoid rule, spectrally accurate for a periodic function."""
    return np.arange(ANGLES) * (0.5 * np.pi / ANGLES)


def real_space(shape: tuple[int, int], kernel: Kernel, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """Harmonics of g on the whole lattice, float64 (2M + 1, Lx, Ly): c_0, c_1, s_1, ..., and N at `quadrature_angles`.

    Serial; the value at r = 0 is that of g, not yet taken out.
    """
    lx, ly = shape
    kx, ky = whole_wave_numbers(lx), np.arange(ly // 2 + 1)
    transformed, sums = kernel.spectra(shape, kx, ky, harmonics)
    fields = np.fft.irfft2(transformed.transpose(0, 2, 1), s=shape)
    twice = np.where((ky == 0) | (2 * ky == ly), 1.0, 2.0)
    return fields, kernel.norm(shape, sums @ twice, fields[:, 0, 0])


def inverse_norm_series(norm: np.ndarray) -> np.ndarray:
    """Coefficients n_0, n_1, ... of 1 / N(psi) = sum_k n_k cos(4 k psi), from N at `quadrature_angles` (ANGLES,).

    The symmetry psi -> pi/2 - psi leaves no sines; the series is cut where the quadrature no longer resolves it.
    """
    psi = quadrature_angles()
    order = np.arange(ANGLES // 2)
    series = np.cos(4.0 * np.outer(order, psi)) @ (1.0 / norm) * (2.0 / ANGLES)
    series[0] *= 0.5
    return series


def angle_table(norm: np.ndarray, steps: int) -> np.ndarray:
    """1 / N, its slope per interval, cos 4 psi and sin 4 psi at psi = 0, ..., pi/2 in `steps` intervals: (steps + 1, 4)."""
    series = inverse_norm_series(norm)
    order = 4.0 * np.arange(len(series))
    step = 0.5 * np.pi / steps
    psi = np.arange(steps + 1) * step
    phase = np.outer(psi, order)
    slope = -np.sin(phase) @ (order * series) * step
    return np.stack([np.cos(phase) @ series, slope, np.cos(4.0 * psi), np.sin(4.0 * psi)], axis=1)


def harmonic_sum(coefficients: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """c_0 + 2 sum_m [c_m cos(4 m psi) + s_m sin(4 m psi)] for coefficients (2M + 1,), at angles (n,)."""
    total = np.full(len(psi), coefficients[0])
    for m in range(1, (len(coefficients) + 1) // 2):
        total += 2.0 * (coefficients[2 * m - 1] * np.cos(4 * m * psi) + coefficients[2 * m] * np.sin(4 * m * psi))
    return total
