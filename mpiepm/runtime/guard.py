"""Is the run still sound? Stress and strain must be numbers, and the mean square of the stress below the bound of the model."""

import numpy as np

from mpiepm.core.faults import SickRunError
from mpiepm.core.jit import njit
from mpiepm.observe.base import EQUILIBRATION
from mpiepm.runtime.present import Present


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


def check(simulation: Present) -> None:
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
    faults = domain.collect(_unsound_sites(simulation))
    what = "; ".join(fault for fault in faults if fault)
    if not what:
        largest = [(float(size), text) for size, text in domain.collect(_largest(simulation))]
        what = f"the mean square of the stress is {mean_square:.6g}, above {bound:.6g}: it runs away; {max(largest)[1]}"
    raise SickRunError(f"{what}, at {_present(simulation)}")


def _present(simulation: Present) -> str:
    state, origin = simulation.state, simulation.phases.origin
    unit = simulation.params.units.time
    phase = "equilibrating" if origin == EQUILIBRATION else f"origin {origin}"
    return f"t = {state.origin_time + state.time:.10g} {unit} ({phase}, {state.events} events)"


def _where(simulation: Present, site: int) -> str:
    domain = simulation.domain
    row, column = divmod(site, domain.shape[1])
    rows = f"rows {domain.first_row}-{domain.rows.stop - 1}"
    return f"site ({domain.first_row + row}, {column}) on rank {domain.rank} ({rows})"


def _unsound_sites(simulation: Present) -> str:
    """The first of this rank's sites whose stress or strain is no number, and how many there are."""
    found = []
    for name, field in (("stress", simulation.state.stress), ("plastic strain", simulation.state.plastic_strain)):
        sites = np.flatnonzero(~np.isfinite(field))
        if sites.size:
            others = f" and {sites.size - 1} more sites" if sites.size > 1 else ""
            found.append(f"{name} {field.flat[sites[0]]} at {_where(simulation, int(sites[0]))}{others}")
    return ", ".join(found)


def _largest(simulation: Present) -> tuple[float, str]:
    stress = np.abs(simulation.state.stress)
    site = int(stress.argmax())
    return float(stress.flat[site]), f"the largest is {simulation.state.stress.flat[site]:.6g} at {_where(simulation, site)}"
