"""How an engine needs the lattice to be cut: slabs of any rows, or of whole strips for the split engine."""

from typing import Any

import numpy as np

from mpiepm.core.params import AnyParameters
from mpiepm.core.sections import Auto, Split
from mpiepm.grid.domain import Domain, even_partition, max_ranks

LEAST_BYTES_PER_SITE = 40  # stress, strain, and the arrays of any engine: a lower bound

_SITES_PER_RANK = 1 << 15        # from which on more ranks are faster; see docs/event_engine.md
_SITES_PER_RANK_SPLIT = 1 << 18  # an event costs the same on any lattice, so only many in a window are worth a message


def strip_edges(rows: int, strip: int) -> np.ndarray:
    """First row of every strip, and `rows`: as many strips of at least `strip` rows as there is room for, or one."""
    return even_partition(rows, max(1, rows // strip))


def strips_fit(params: AnyParameters, engine: Split, ranks: int) -> bool:
    """Is the lattice large enough for the radius and the strips of so many ranks?"""
    shape = params.lattice.size
    return 2 * engine.radius + 2 <= min(shape) and ranks <= len(strip_edges(shape[0], engine.strip)) - 1


def most_ranks(params: AnyParameters) -> int:
    """Largest number of ranks that can share the lattice."""
    most = max_ranks(params.lattice.size)
    if isinstance(params.engine, Split):
        return min(most, len(strip_edges(params.lattice.size[0], params.engine.strip)) - 1)
    return most


def advised_ranks(params: AnyParameters) -> int:
    """Largest number of ranks that is likely to be faster than fewer, by the sites of each."""
    least = _SITES_PER_RANK_SPLIT if isinstance(params.engine, Split) else _SITES_PER_RANK
    return max(1, min(most_ranks(params), params.lattice.size[0] * params.lattice.size[1] // least))


def slabs(params: AnyParameters, comm: Any = None) -> Domain:
    """The lattice on the ranks of `comm` (default: all), as even as the engine allows.

    Raises
    ------
    ValueError : on every rank, if there are more ranks than `most_ranks`
    """
    domain, engine = Domain(params.lattice.size, comm), params.engine
    if isinstance(engine, Auto) and strips_fit(params, Split(), domain.size):
        engine = Split()
    if not isinstance(engine, Split):
        return domain
    edges = strip_edges(params.lattice.size[0], engine.strip)
    if domain.size > len(edges) - 1:
        raise ValueError(f"{domain.size} ranks are too many, must be at most {len(edges) - 1}, the number of strips")
    cut = edges[even_partition(len(edges) - 1, domain.size)]
    return Domain(params.lattice.size, comm, [int(row) for row in cut])
