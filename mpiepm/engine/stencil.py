"""The kernel of EPM-Q close to an event: tables over the orientation, for sites with |x|, |y| <= radius.

The kernel is cut in two (`engine.farfield`): a stencil that an event applies at once, and a far field,

    G^psi(r) = stencil^psi(r) + far^psi(r) + u(psi),

in which far^psi is the harmonic m = 1 beyond the radius, 0 within it, and u the mean of all else beyond the radius (c_0, there
nearly constant, and the higher harmonics, `kernels.eshelby`). So the sum of G over the lattice is exact. The stencil is
tabulated at `ANGLES` orientations and linear in between: within 1e-6 of the exact kernel.
"""

from typing import NamedTuple

import numpy as np

from mpiepm.core.jit import inlined
from mpiepm.kernels import harmonics as kernel_harmonics

HARMONICS = 8
ANGLES = 2048  # intervals of psi in [0, pi/2]


class Stencil(NamedTuple):
    """A stencil, in the form that compiled code takes.

    Attributes
    ----------
    values : float32 (ANGLES + 1, 2R + 1, 2R + 1): stress change per unit stress drop, without u; the event at [R, R]
    source : float64 (ANGLES + 1, 3): cos(4 psi) / N, sin(4 psi) / N and u, per unit stress drop
    radius : R
    shape : (Lx, Ly)
    """

    values: np.ndarray
    source: np.ndarray
    radius: int
    shape: tuple[int, int]


def stencil(box: np.ndarray, rest: np.ndarray, norm: np.ndarray, shape: tuple[int, int]) -> Stencil:
    """Stencil from the harmonics c_0, 2 c_1, 2 s_1, ... (2M + 1, 2R + 1, 2R + 1) around r = 0.

    `rest` (2M + 1,): mean of each beyond the radius, 0 for m = 1;  `norm` : N at `kernel_harmonics.quadrature_angles`.
    """
    radius = box.shape[1] // 2
    psi = np.arange(ANGLES + 1) * (0.5 * np.pi / ANGLES)
    series = kernel_harmonics.inverse_norm_series(norm)
    inverse = np.cos(4.0 * np.outer(psi, np.arange(len(series)))) @ series
    orders = np.arange(1, len(box) // 2 + 1)
    phases = np.empty((len(psi), len(box)))
    phases[:, 0] = 1.0
    phases[:, 1::2], phases[:, 2::2] = np.cos(4.0 * np.outer(psi, orders)), np.sin(4.0 * np.outer(psi, orders))
    phases *= inverse[:, None]
    uniform = phases @ rest
    values = np.tensordot(phases, box - rest[:, None, None], axes=1)
    values[:, radius, radius] = -1.0 - uniform
    return Stencil(values.astype(np.float32), np.stack([phases[:, 1], phases[:, 2], uniform], axis=1), radius, shape)


@inlined
def node(angle: float) -> tuple[int, float]:
    """Table below an orientation, and how far it is on the way to the next one."""
    x = angle * (ANGLES / (0.5 * np.pi))
    below = min(int(x), ANGLES - 1)
    return below, x - below
