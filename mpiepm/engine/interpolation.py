"""Tracers: particles that follow a displacement field and do nothing else (Ferrero, Martens & Barrat 2014).

Sites sit at integer coordinates of the periodic lattice; between them the field is bilinear. Positions are unwrapped: they
count how often a particle has gone round. Each moves by what its own position says, so a trajectory does not depend on who
computes it.
"""

import math

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.core.streams import Stream
from mpiepm.grid.rng import philox, uniform

_PLACE = int(Stream.TRACER_PLACE)


@njit
def _cell(coordinate: float, length: int) -> tuple[int, float]:
    """Site at or before a coordinate, on a side of `length` sites, and how far behind it the coordinate lies, in [0, 1)."""
    wrapped = coordinate - length * math.floor(coordinate / length)
    if not 0.0 <= wrapped < length:  # rounded up to the length, which is 0; or no number
        wrapped = 0.0
    site = int(wrapped)
    return site, wrapped - site


@njit
def rows_of(position: np.ndarray, length: int, out: np.ndarray) -> None:
    """Row of the lattice at or before each tracer: position (n, 2), out int64 (n,)."""
    for k in range(out.size):
        out[k] = _cell(position[k, 0], length)[0]


@njit
def at_random(seed: int, first: int, length_x: int, length_y: int, position: np.ndarray) -> None:
    """Positions (n, 2) of tracers first, first + 1, ...: uniform on the lattice."""
    for k in range(position.shape[0]):
        w0, w1, _, _ = philox(seed, _PLACE, first + k, 0, 0, 0)
        position[k, 0], position[k, 1] = length_x * uniform(w0), length_y * uniform(w1)


@njit
def on_sites(number: int, first: int, length_x: int, length_y: int, position: np.ndarray) -> None:
    """Positions (n, 2) of tracers first, first + 1, ... of `number`: tracer k on site floor(k N / number), row by row."""
    each, rest = (length_x * length_y) // number, (length_x * length_y) % number
    for k in range(first, first + position.shape[0]):
        site = k * each + k * rest // number  # k N may exceed 64 bits; k rest is below number ** 2
        position[k - first, 0], position[k - first, 1] = site // length_y, site % length_y


@njit
def drift(first_row: int, length_x: int, displacement: np.ndarray, position: np.ndarray) -> None:
    """position (n, 2) += the field at each tracer.

    displacement : (2, rows + 1, Ly), along x and y, for the rows from `first_row` on and the one after the last
    """
    length_y = displacement.shape[2]
    for k in range(position.shape[0]):
        row, fx = _cell(position[k, 0], length_x)
        j0, fy = _cell(position[k, 1], length_y)
        i = row - first_row
        j1 = j0 + 1 if j0 + 1 < length_y else 0
        for c in range(2):
            u = displacement[c]
            near = (1.0 - fy) * u[i, j0] + fy * u[i, j1]
            far = (1.0 - fy) * u[i + 1, j0] + fy * u[i + 1, j1]
            position[k, c] += (1.0 - fx) * near + fx * far
