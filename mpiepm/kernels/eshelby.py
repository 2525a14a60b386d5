"""Elastic kernel of EPM-Q: what a plastic event of orientation psi does to the stress of every other site.

Ozawa & Biroli (PRL 130, 138201, 2023), SI eqs. 5-16, with the fine-grid method that tames the rotated kernel:

1. On a lattice of 2Lx x 2Ly fine sites, eq. 14:
       ghat^psi(q) = -4 (1 - cos a)(1 - cos b) / (2 - cos a - cos b)^2,   ghat(0) = 0,
       a = cos(psi) qx + sin(psi) qy,   b = -sin(psi) qx + cos(psi) qy,
   averaged over q_alpha = +pi and -pi where a wave number is at the edge.
2. N(psi) = -(mean of ghat over the fine lattice), eq. 16.
3. A site is 2 x 2 fine sites: the event acts on all four, a site feels the mean of its four. In Fourier space this
   multiplies by cos^2(qx/2) cos^2(qy/2); every second point is kept, times 4: call it g^psi(r).
4. G^psi(r) = g^psi(r) / N(psi) for r != 0, and G^psi(0) = -1: the site itself drops by exactly the stress drop.

Keeping every second point folds four fine wave vectors onto each coarse one, so the spectrum of g is known wave vector
by wave vector and needs no transform. The fine wave numbers at the edge are folded away with weight zero.

The orientation is expanded in angular harmonics, with the normalisation left on the source:

       g^psi(r) = c_0(r) + 2 sum_{m=1..M} [c_m(r) cos(4 m psi) + s_m(r) sin(4 m psi)],

so a batch of events of any orientations is spread by 2M + 1 forward transforms and one backward.

Kernel "conserving" rescales g so that G(0) = -1 and the kernel sums to zero over the lattice: N(psi) = -g^psi(0).
"""

from typing import Literal, NamedTuple

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.kernels.harmonics import ANGLES, harmonic_sum, quadrature_angles

KernelName = Literal["paper", "conserving"]


def _half_angles(wave_numbers: np.ndarray, fine_length: int, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of factor * q / 2 for fine wave numbers q = 2 pi k / fine_length: (factor, k)."""
    angle = np.outer(factor, np.pi * wave_numbers / fine_length)
    return np.sin(angle), np.cos(angle)


@njit
def _ghat(
    sx_c: float, cx_c: float, sx_s: float, cx_s: float, sy_c: float, cy_c: float, sy_s: float, cy_s: float
) -> float:
    """Eq. 14 from the half angles of (cos psi) qx, (sin psi) qx, (cos psi) qy, (sin psi) qy.

    1 - cos a = 2 sin^2(a / 2) stays accurate at the smallest q; a and b as in eqs. 12 and 13, by the addition theorem.
    """
    a = sx_c * cy_s + cx_c * sy_s
    b = sy_c * cx_s - cy_c * sx_s
    aa, bb = a * a, b * b
    norm = aa + bb
    return -4.0 * aa * bb / (norm * norm) if norm > 0.0 else 0.0


@njit
def _accumulate(
    sx_c: np.ndarray, cx_c: np.ndarray, sx_s: np.ndarray, cx_s: np.ndarray,
    sy_c: np.ndarray, cy_c: np.ndarray, sy_s: np.ndarray, cy_s: np.ndarray,
    weight_x: np.ndarray, weight_y: np.ndarray, edge: int, cosines: np.ndarray, sines: np.ndarray,
    out: np.ndarray, column_sums: np.ndarray,
) -> None:  # fmt: skip
    """Add one fold of the fine lattice to the spectra: `out` (2M + 1, ky, kx), and to the sums over kx (psi, ky).

    `*_c`, `*_s`: sine and cosine of (cos psi) q / 2 and (sin psi) q / 2, of shape (psi, wave number).
    `edge`: the index where qx = -pi, to be averaged with +pi, or -1.
    """
    angles, width = sx_c.shape
    line = np.empty(width)
    for j in range(sy_c.shape[1]):
        for p in range(angles):
            total = 0.0
            for i in range(width):
                line[i] = _ghat(
                    sx_c[p, i], cx_c[p, i], sx_s[p, i], cx_s[p, i], sy_c[p, j], cy_c[p, j], sy_s[p, j], cy_s[p, j]
                )
                if i == edge:
                    mirrored = _ghat(
                        -sx_c[p, i], cx_c[p, i], -sx_s[p, i], cx_s[p, i],
                        sy_c[p, j], cy_c[p, j], sy_s[p, j], cy_s[p, j],
                    )  # fmt: skip
                    line[i] = 0.5 * (line[i] + mirrored)
                total += line[i]
                line[i] *= weight_x[i] * weight_y[j]
            column_sums[p, j] += total
            for h in range(out.shape[0]):
                factor = (cosines[(h + 1) // 2, p] if h % 2 == 1 or h == 0 else sines[h // 2, p]) / angles
                row = out[h, j]
                for i in range(width):
                    row[i] += factor * line[i]


def _spectra(
    shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, harmonics: int
) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of the harmonics of g on given wave vectors, and what N(psi) needs of these columns.

    Parameters
    ----------
    shape : (Lx, Ly) of the coarse lattice
    kx, ky : integer wave numbers: kx in FFT order over the whole lattice, ky any of 0 ... Ly // 2
    harmonics : M

    Returns
    -------
    spectra : float64 (2M + 1, ky, kx): c_0, c_1, s_1, c_2, s_2, ..., before r = 0 is taken out
    column_sums : float64 (angle, ky): sum of ghat^psi over the fine wave vectors folded onto column ky, at
        `quadrature_angles`; the sum over the fine lattice counts a column twice unless it is its own mirror image
    """
    lx, ly = shape
    psi = quadrature_angles()
    order = 4.0 * np.outer(np.arange(harmonics + 1), psi)
    out = np.zeros((2 * harmonics + 1, len(ky), len(kx)))
    sums = np.zeros((ANGLES, len(ky)))
    for fold_x in (0, 1):
        # the two fine wave numbers that fold onto kx: kx itself, and kx shifted by Lx towards the edge of the zone
        fine_x = kx + fold_x * np.where(kx < 0, lx, -lx)
        for fold_y in (0, 1):
            fine_y = ky - fold_y * ly
            x_c, x_s = _half_angles(fine_x, 2 * lx, np.cos(psi)), _half_angles(fine_x, 2 * lx, np.sin(psi))
            y_c, y_s = _half_angles(fine_y, 2 * ly, np.cos(psi)), _half_angles(fine_y, 2 * ly, np.sin(psi))
            weight_x = np.cos(np.pi * fine_x / (2 * lx)) ** 2
            weight_y = np.cos(np.pi * fine_y / (2 * ly)) ** 2
            edge = int(np.flatnonzero(kx == 0)[0]) if fold_x else -1
            _accumulate(
                *x_c, *x_s, *y_c, *y_s, weight_x, weight_y, edge, np.cos(order), np.sin(order), out, sums
            )
    return out, sums


def exact_kernel(shape: tuple[int, int], psi: float, name: KernelName = "paper") -> np.ndarray:
    """G^psi(r) on the whole lattice, float64 (Lx, Ly), r = 0 at [0, 0]: steps 1-4 without the harmonic expansion.

    Stress change per unit stress drop. Serial; for tables, figures and tests.
    """
    kx, ky = (np.arange(-length, length) for length in shape)
    ghat = np.zeros((2 * shape[0], 2 * shape[1]))
    for sign_x in (1, -1):
        for sign_y in (1, -1):
            qx = np.where(kx == -shape[0], sign_x * np.pi, np.pi * kx / shape[0])[:, None]
            qy = np.where(ky == -shape[1], sign_y * np.pi, np.pi * ky / shape[1])[None, :]
            a = np.sin(0.5 * (np.cos(psi) * qx + np.sin(psi) * qy)) ** 2
            b = np.sin(0.5 * (np.cos(psi) * qy - np.sin(psi) * qx)) ** 2
            norm = (a + b) ** 2
            ghat -= np.divide(a * b, norm, out=np.zeros_like(ghat), where=norm > 0)
    filtered = ghat * np.cos(0.5 * np.pi * kx / shape[0])[:, None] ** 2 * np.cos(0.5 * np.pi * ky / shape[1]) ** 2
    g = 4.0 * np.fft.ifft2(np.fft.ifftshift(filtered)).real[::2, ::2]
    kernel: np.ndarray = g / -ghat.mean() if name == "paper" else g / -g[0, 0]
    kernel[0, 0] = -1.0
    return kernel


def exact_kernels(shape: tuple[int, int], name: KernelName = "paper") -> np.ndarray:
    """G^psi(r) at all `quadrature_angles`, float64 (ANGLES, Lx, Ly): see `exact_kernel`."""
    return np.stack([exact_kernel(shape, psi, name) for psi in quadrature_angles()])


class Eshelby(NamedTuple):
    """The kernel of random orientation, a `kernels.harmonics.Kernel`; `name` is its reading."""

    name: KernelName

    def spectra(
        self, shape: tuple[int, int], kx: np.ndarray, ky: np.ndarray, harmonics: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Harmonics of g (2M + 1, ky, kx), and the sum of ghat over the fine wave vectors of each column (ANGLES, ky)."""
        return _spectra(shape, kx, ky, harmonics)

    def norm(self, shape: tuple[int, int], column_sum: np.ndarray, at_zero: np.ndarray) -> np.ndarray:
        """Minus the mean of ghat over the fine lattice ("paper", eq. 16), or -g(0) ("conserving")."""
        if self.name == "paper":
            return -column_sum / (4 * shape[0] * shape[1])
        return -harmonic_sum(at_zero, quadrature_angles())
