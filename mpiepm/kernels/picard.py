"""Elastic response to a plastic strain of fixed orientation: the stress kernel G and the displacement kernel U.

Picard, Ajdari, Lequeux & Bocquet (Eur. Phys. J. E 15, 371, 2004), as used by Ferrero, Martens & Barrat (PRL 113, 248301,
2014), on the wave vectors q = 2 pi k / L of the lattice:

    G(q)  = -4 qx^2 qy^2 / q^4,                     stress 2 mu G per plastic strain; G(0) is an option
    Ux(q) = +2i qy (qx^2 - qy^2) / q^4,             displacement per plastic strain, U(0) = 0
    Uy(q) = -2i qx (qx^2 - qy^2) / q^4.

The displacement is incompressible, q.U = 0, and its strain less the plastic one is the stress: i qx Uy + i qy Ux - 2 = 2 G.
A field on the lattice must be real, so Ux is dropped where |qy| = pi and Uy where |qx| = pi: there their sign is undefined.

Laplacian correction: q -> 2 sin(q / 2) throughout, which is qx^2 -> 2 - 2 cos qx; both identities then hold for the
corrected wave numbers. All kernels here are real: those of the displacement are to be multiplied by i.
"""

import numpy as np

from mpiepm.grid.fft import whole_wave_numbers


def wave_numbers(length: int, k: np.ndarray, *, laplacian_correction: bool) -> np.ndarray:
    """Wave numbers of the integers `k` on a side of `length` sites: float64, same shape as k."""
    q = 2.0 * np.pi * np.asarray(k, dtype=np.float64) / length
    return 2.0 * np.sin(0.5 * q) if laplacian_correction else q


def _parts(
    shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, laplacian_correction: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wave numbers qx (1, kx) and qy (ky, 1), and 1 / q^4 (ky, kx) with 0 at q = 0."""
    qx = wave_numbers(shape[0], kx, laplacian_correction=laplacian_correction)[None, :]
    qy = wave_numbers(shape[1], ky, laplacian_correction=laplacian_correction)[:, None]
    fourth = (qx**2 + qy**2) ** 2
    return qx, qy, np.divide(1.0, fourth, out=np.zeros_like(fourth), where=fourth > 0)


def stress(
    shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, *, mean_stress: float = 0.0, laplacian_correction: bool = False
) -> np.ndarray:
    """G on given wave vectors: float64 (ky, kx).

    Parameters
    ----------
    shape : (Lx, Ly) of the lattice
    kx, ky : integer wave numbers, as in `grid.fft.Transform`
    mean_stress : G(0): 0 keeps the mean stress, -1 lets it relax under a fixed total strain
    """
    qx, qy, inverse = _parts(shape, kx, ky, laplacian_correction)
    kernel: np.ndarray = -4.0 * qx**2 * qy**2 * inverse
    kernel[np.ix_(ky == 0, kx == 0)] = mean_stress
    return kernel


def displacement(
    shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, *, laplacian_correction: bool = False
) -> np.ndarray:
    """Imaginary parts of Ux and Uy (their real parts are 0) on given wave vectors: float64 (2, ky, kx)."""
    qx, qy, inverse = _parts(shape, kx, ky, laplacian_correction)
    common = 2.0 * (qx**2 - qy**2) * inverse
    kernel: np.ndarray = np.stack([qy * common, -qx * common])
    kernel[0, 2 * np.abs(ky) == shape[1]] = 0.0
    kernel[1, :, 2 * np.abs(kx) == shape[0]] = 0.0
    return kernel


def real_space(
    shape: tuple[int, int], *, mean_stress: float = 0.0, laplacian_correction: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G(r), Ux(r), Uy(r) on the whole lattice, float64 (Lx, Ly), source at [0, 0]. Serial; for tables and tests."""
    kx, ky = whole_wave_numbers(shape[0]), np.arange(shape[1] // 2 + 1)
    g = stress(shape, kx, ky, mean_stress=mean_stress, laplacian_correction=laplacian_correction)
    u = 1j * displacement(shape, kx, ky, laplacian_correction=laplacian_correction)
    return (
        np.fft.irfft2(g.T, s=shape, axes=(0, 1)),
        np.fft.irfft2(u[0].T, s=shape, axes=(0, 1)),
        np.fft.irfft2(u[1].T, s=shape, axes=(0, 1)),
    )
