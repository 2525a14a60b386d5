"""How an engine needs the lattice to be cut: slabs of any rows, or of whole strips for the split engine."""

from typing import Any

import numpy as np

from mpiepm.core.engine_sections import Auto, Event, Split, Sweep
from mpiepm.grid.domain import Domain, even_partition, max_ranks
from mpiepm.models.parameters import Parameters

_SITES_PER_RANK = 1 << 15        # from which on more ranks are faster; see docs/event_engine.md
_SITES_PER_RANK_SPLIT = 1 << 18  # an event costs the same on any lattice, so only many in a window are worth a message


def strip_edges(rows: int, strip: int) -> np.ndarray:
    """First row of every strip, and `rows`: as many strips of at least `strip` rows as there is room for, or one."""
    return even_partition(rows, max(1, rows // strip))


def strips_fit(params: Parameters, engine: Split, ranks: int) -> bool:
    """Is the lattice large enough for the radius and the strips of so many ranks?"""
    shape = params.lattice.size
    return 2 * engine.radius + 2 <= min(shape) and ranks <= len(strip_edges(shape[0], engine.strip)) - 1


def most_ranks(params: Parameters) -> int:
    """Largest number of ranks that can share the lattice."""
    most = max_ranks(params.lattice.size)
    if isinstance(params.engine, Split):
        return min(most, len(strip_edges(params.lattice.size[0], params.engine.strip)) - 1)
    return most


def fewest_ranks(params: Parameters) -> int:
    """Smallest number of ranks, beside one alone, whose transforms exchange less than 2^31 numbers each: what MPI can count."""
    (lx, ly), fields = params.lattice.size, 3  # at once, at most: see `redistribution` and `step`
    if isinstance(params.engine, Split | Auto):
        fields = 2
    elif isinstance(params.engine, Event) or (isinstance(params.engine, Sweep) and not params.model.elasticity):
        fields = 1 if params.output.four_point else 0
    rows = (2**31 - 1) // max(fields * (ly // 2 + 1), 1)
    return -(-lx // rows)


def advised_ranks(params: Parameters) -> int:
    """Largest number of ranks that is likely to be faster than fewer, by the sites of each."""
    least = _SITES_PER_RANK_SPLIT if isinstance(params.engine, Split) else _SITES_PER_RANK
    return max(1, min(most_ranks(params), params.lattice.size[0] * params.lattice.size[1] // least))


def slabs(params: Parameters, comm: Any = None) -> Domain:
    """The lattice on the ranks of `comm` (default: all), as even as the engine allows.

    Raises
    ------
    ValueError : on every rank, if there are more ranks than `most_ranks`
    """
    domain = Domain(params.lattice.size, comm)
    return Domain(params.lattice.size, comm, cut(params, domain.size))


def cut(params: Parameters, ranks: int) -> list[int]:
    """First row of each rank, and the number of rows: (ranks + 1).

    Raises
    ------
    ValueError : if there are more ranks than strips
    """
    rows, engine = params.lattice.size[0], params.engine
    if isinstance(engine, Auto) and strips_fit(params, Split(), ranks):
        engine = Split()
    edges = strip_edges(rows, engine.strip) if isinstance(engine, Split) else np.arange(rows + 1)
    if ranks > len(edges) - 1:
        raise ValueError(f"{ranks} ranks are too many, must be at most {len(edges) - 1}, the number of strips")
    return [int(row) for row in edges[even_partition(len(edges) - 1, ranks)]]
