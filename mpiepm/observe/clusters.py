"""Clusters of mobile sites: sets of nearest neighbours with p_i(t) = 0, on the periodic lattice.

Every rank labels its own rows (scipy); labels that meet at the edge of a slab are joined, which only needs the labels of the
first and last row of every rank.
"""

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mpiepm.core.schedule import LogSpaced
from mpiepm.grid.domain import Domain
from mpiepm.observe.base import Observer, Record, Variable
from mpiepm.observe.bins import LogBins
from mpiepm.observe.persistence import Persistence
from mpiepm.physics.state import State


def cluster_sizes(domain: Domain, mobile: np.ndarray) -> np.ndarray:
    """Sizes of all clusters of the lattice, ascending, from this rank's rows of a boolean map. Collective."""
    labels, found = ndimage.label(mobile)
    sizes = np.bincount(labels.ravel(), minlength=found + 1)[1:]
    everyone = domain.comm.allgather((sizes, labels[0], labels[-1]))
    starts = np.cumsum([0, *(len(sizes) for sizes, _, _ in everyone)])

    def numbered(row: np.ndarray, rank: int) -> np.ndarray:
        return np.where(row > 0, row + starts[rank] - 1, -1)

    seam = [(labels[:, -1], labels[:, 0])]  # y is periodic on this rank
    own = np.concatenate([np.stack([numbered(a, domain.rank), numbered(b, domain.rank)], axis=1) for a, b in seam])
    joints = list(domain.comm.allgather(own))
    for rank, (_, _, last) in enumerate(everyone):
        below = (rank + 1) % domain.size
        joints.append(np.stack([numbered(last, rank), numbered(everyone[below][1], below)], axis=1))
    pairs = np.concatenate(joints)
    pairs = pairs[(pairs >= 0).all(axis=1)]
    total = int(starts[-1])
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(total, total))
    _, component = connected_components(graph, directed=False)
    return np.sort(np.bincount(component, np.concatenate([sizes for sizes, _, _ in everyone])).astype(np.int64))


def mean_size(sizes: np.ndarray) -> float:
    """sum s^2 / sum s of cluster sizes int64 (n,), 0 if there are none. In float64: s^2 exceeds 64 bits from L = 55109 on."""
    squares: float = (sizes.astype(np.float64) ** 2).sum()
    return squares / max(int(sizes.sum()), 1)


class Clusters(Observer):
    """Per origin and lag: number of clusters by size, their mean size <s^2> / <s>, and the largest."""

    name = "clusters"
    variables = (
        Variable("clusters/number", ("origin", "lag", "size"), "f8", "1", "clusters in each bin of sizes, NaN once the "
                 "origin has ended", ragged=True),
        Variable("clusters/mean_size", ("origin", "lag"), "f8", "sites", "sum s^2 / sum s: of the cluster of a mobile site",
                 ragged=True),
        Variable("clusters/largest", ("origin", "lag"), "f8", "sites", "size of the largest", ragged=True),
    )  # fmt: skip

    def __init__(self, domain: Domain, lags: LogSpaced, persistence: Persistence) -> None:
        self.domain, self._lags, self._persistence = domain, lags, persistence
        self._bins = LogBins(0, int(np.log10(domain.sites)) + 1, 8, whole=True)

    def end_phase(self, state: State, record: Record) -> None:
        """Record the origin that has ended, if one has."""
        if self._persistence.closed is None:
            return
        first_time, duration = self._persistence.closed
        sizes = [cluster_sizes(self.domain, first_time <= lag) for lag in self._lags.up_to(duration)]
        record("clusters/number", np.array([self._bins.histogram(s) for s in sizes]).reshape(-1, self._bins.number))
        record("clusters/mean_size", np.array([mean_size(s) for s in sizes]))
        record("clusters/largest", np.array([s.max(initial=0) for s in sizes]))

    def constants(self) -> dict[str, np.ndarray]:
        """Lags, and edges of the bins."""
        return {"clusters/lag": self._lags.up_to(self._persistence.longest), "clusters/edges": self._bins.edges}
