"""What a run will take of the memory of every rank, from its parameters alone, and whether that is there.

A forecast is the largest memory of a rank at any time, which most engines take while they are built; its numbers per site are
measured (`benchmarks/memory_forecast.py`). A lower bound counts only arrays that are certain to lie in memory together.
"""

import numpy as np

from mpiepm.core.amounts import in_bytes
from mpiepm.core.engine_sections import Auto, Event, Split, Step, Sweep
from mpiepm.core.faults import ParameterError
from mpiepm.engine.layout import cut, strips_fit
from mpiepm.grid.memory import Node
from mpiepm.io.space import archive_bytes, observer_bytes_per_site
from mpiepm.models.parameters import Parameters
from mpiepm.observe.base import wanted

_PROCESS = 330 * 1024**2        # Python, its libraries and compiled code
_RECORDS = 256 * 1024**2        # that may wait in the memory of a rank (`io.archive`)
_STENCIL = 2049 * 4             # of the split engine, for each of its (2 radius + 1)^2 sites
_HARMONICS = 17                 # of the kernel of the engines "event" and "split"
_MOST_SITES = 1 << 20           # of a lattice on which "auto" tries the engine "event"
_SHARE = 0.9                    # of the memory that a forecast may take without a warning


def forecast(params: Parameters, ranks: int = 1) -> list[int]:
    """Largest memory of each rank, bytes: the process, its fields, the engine while it is built, records that wait."""
    lx, ly = params.lattice.size
    own = np.diff(cut(params, ranks)) * ly
    site, shared = _engine(params, lx * ly, ranks)
    per_site = 24.0 + site + observer_bytes_per_site(params)
    per_site += sum(kind.work_bytes(params) for kind in wanted(params))
    records = min(_RECORDS, max(archive_bytes(params).values()) / ranks)
    return [int(_PROCESS + per_site * sites + shared + records) for sites in own]


def _engine(params: Parameters, whole: int, ranks: int) -> tuple[float, float]:
    """Bytes per site of a rank's own rows, and bytes on every rank whatever its rows."""
    engine = params.engine
    if isinstance(engine, Step):
        return (60, 100 * params.tracers.number / ranks) if params.tracers else (30, 0)
    if isinstance(engine, Auto):
        if strips_fit(params, Split(), ranks):  # and the others are tried beside it
            return 160, 350 * whole * (whole <= _MOST_SITES)
        engine = Event()
    if not params.model.elasticity and not isinstance(engine, Split):
        return 10, 0
    if isinstance(engine, Sweep):
        harmonics = 2 * engine.harmonics + 1
        return 8 * harmonics + 24 if engine.precision == "double" else 6 * harmonics + 20, 0
    if isinstance(engine, Split):
        return 90, 3 * _STENCIL * (2 * engine.radius + 1) ** 2
    return 0, 350 * whole


def least(params: Parameters, ranks: int = 1) -> list[int]:
    """Lower bound of the memory of each rank, bytes.

    The fields of state and observers, and of the engine while it is built: spectra of the harmonics of its kernel (float64,
    half as many as sites), and what lies beside them. The engine "event" holds spectra and fields of the whole lattice on
    every rank.
    """
    lx, ly = params.lattice.size
    own = np.diff(cut(params, ranks)) * ly
    fields, tables = 16.0 + observer_bytes_per_site(params), 0
    engine = params.engine
    if isinstance(engine, Step):
        fields += 1 + 4 * (3 if params.tracers else 1)  # activity; the kernels
    elif isinstance(engine, Sweep):
        harmonics = 2 * engine.harmonics + 1
        fields += 4 * harmonics * params.model.elasticity
    elif isinstance(engine, Split) or (isinstance(engine, Auto) and strips_fit(params, Split(), ranks)):
        fields += 4 * _HARMONICS + 8  # the spectra and a field
    elif params.model.elasticity:
        tables = (4 + 8) * _HARMONICS * lx * ly
    return [int(fields * sites) + tables for sites in own]


def check(params: Parameters, nodes: list[Node]) -> str:
    """Compare with the memory that there is for the ranks of a run: a warning if it may not suffice, "" if it will.

    Raises
    ------
    ParameterError : if it surely does not suffice
    """
    ranks = sum(len(node.ranks) for node in nodes)
    given = f"lattice.size = {list(params.lattice.size)}, engine.name = {params.engine.name!r}"
    certain, likely = least(params, ranks), forecast(params, ranks)
    warning = ""
    for node in nodes:
        largest = max(node.ranks, key=lambda rank: likely[rank])
        for some, limit in ((node.ranks, node.together), ((largest,), node.each)):
            who = f"{len(some)} of {ranks} ranks, on {node.name}," if ranks > 1 else "the run"
            verb = "need" if len(some) > 1 else "needs"
            if (needed := sum(certain[rank] for rank in some)) > limit.bytes:
                raise ParameterError(
                    f"{given}: {who} {verb} at least {in_bytes(needed)} of memory, must be at most {in_bytes(limit.bytes)}, "
                    f"{limit.what}"
                )
            if (needed := sum(likely[rank] for rank in some)) > _SHARE * limit.bytes:
                warning = f"{given}: {who} may need {in_bytes(needed)} of memory, {limit.what} is {in_bytes(limit.bytes)}"
    return warning
