"""Is the run still sound? Stress and strain must be numbers, and the stress must not run away.

What bounds the stress of EPM-Q. Where |sigma| >= sigma_c a site yields at rate 1, is left at sigma_c - z, and gives the others
on average S = sum_r <G^psi(r)^2>_psi of the square of its drop, S = 0.22 ("paper") and 0.26 ("conserving"). So of V, the mean
square of the stress, the part V' of these sites changes at most by

    dV'/dt <= (1 + S) <(sigma_c - z)^2> - V' + S <(|sigma| + z)^2>,

and with (a + b)^2 <= 2 a^2 + 2 b^2 it settles below [(1 + S)(sigma_c^2 + 2 z0^2) + 4 S z0^2] / (1 - 2 S). The others are below
sigma_c. Together V <= 3.7 (sigma_c^2 + 2 z0^2) on average, whatever the temperature. `ROOM` is eight times as much, which no
fluctuation reaches, be the lattice of 16 sites. Model "ferrero": the same with the threshold and the stress that an event
of mean duration relaxes; with random activation the stress diffuses freely, and only has to be a number.
"""

from typing import TYPE_CHECKING

import numpy as np

from mpiepm.core.faults import SickRunError
from mpiepm.core.jit import njit
from mpiepm.observe.base import EQUILIBRATION

if TYPE_CHECKING:
    from mpiepm.simulation import Simulation

@njit
def _sum_of_squares(field: np.ndarray) -> float:
    """In four interleaved partial sums: an addition need not wait for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    values = field.ravel()
    quarters = values.size // 4
    for k in range(quarters):
        j = np.uint64(4 * k)
        a += values[j] * values[j]
        b += values[j + np.uint64(1)] * values[j + np.uint64(1)]
        c += values[j + np.uint64(2)] * values[j + np.uint64(2)]
        d += values[j + np.uint64(3)] * values[j + np.uint64(3)]
    for k in range(4 * quarters, values.size):
        a += values[k] * values[k]
    return (a + b) + (c + d)


def check(simulation: "Simulation") -> None:
    """Look at all sites once. Collective.

    Raises
    ------
    SickRunError : on all ranks, with rank, rows, site and time, if a stress or strain is not finite or the stress has run away
    """
    state, domain = simulation.state, simulation.domain
    own = np.array([[_sum_of_squares(state.stress), _sum_of_squares(state.plastic_strain)]])
    sums = domain.gather(own).sum(axis=0)
    mean_square, bound = float(sums[0]) / domain.sites, simulation.params.model.largest_mean_square()
    if np.isfinite(sums).all() and mean_square <= bound:
        return
    faults = domain.comm.allgather(_unsound_sites(simulation))
    what = "; ".join(fault for fault in faults if fault)
    if not what:
        largest = [(float(size), text) for size, text in domain.comm.allgather(_largest(simulation))]
        what = f"the mean square of the stress is {mean_square:.6g}, above {bound:.6g}: it runs away; {max(largest)[1]}"
    raise SickRunError(f"{what}, at {_present(simulation)}")


def _present(simulation: "Simulation") -> str:
    state, origin = simulation.state, simulation.phases.origin
    unit = simulation.params.units.time
    phase = "equilibrating" if origin == EQUILIBRATION else f"origin {origin}"
    return f"t = {state.origin_time + state.time:.10g} {unit} ({phase}, {state.events} events)"


def _where(simulation: "Simulation", site: int) -> str:
    domain = simulation.domain
    row, column = divmod(site, domain.shape[1])
    rows = f"rows {domain.first_row}-{domain.rows.stop - 1}"
    return f"site ({domain.first_row + row}, {column}) on rank {domain.rank} ({rows})"


def _unsound_sites(simulation: "Simulation") -> str:
    """The first of this rank's sites whose stress or strain is no number, and how many there are."""
    found = []
    for name, field in (("stress", simulation.state.stress), ("plastic strain", simulation.state.plastic_strain)):
        sites = np.flatnonzero(~np.isfinite(field))
        if sites.size:
            others = f" and {sites.size - 1} more sites" if sites.size > 1 else ""
            found.append(f"{name} {field.flat[sites[0]]} at {_where(simulation, int(sites[0]))}{others}")
    return ", ".join(found)


def _largest(simulation: "Simulation") -> tuple[float, str]:
    stress = np.abs(simulation.state.stress)
    site = int(stress.argmax())
    return float(stress.flat[site]), f"the largest is {simulation.state.stress.flat[site]:.6g} at {_where(simulation, site)}"
