"""Clusters of mobile sites: sets of nearest neighbours with p_i(t) = 0, on the periodic lattice.

Every rank labels its own rows (scipy). A cluster that touches neither the first nor the last of them is whole, and is only
counted. Neighbouring slabs are joined in pairs, and then the pairs, and so on: what travels is the clusters of two rows, and
how many whole ones there are of each size.
"""

import math
from collections import Counter
from typing import Annotated, Any, NamedTuple

import numpy as np
import scipy  # which loads its parts where they are used: half a second that other runs need not wait
from pydantic import Field

from mpiepm.core.schedule import LogSpaced
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import Durations, Observer, Record, Setting, Variable
from mpiepm.observe.bins import LogBins
from mpiepm.observe.maps import Maps, lags
from mpiepm.observe.persistence import Persistence


class _Slab(NamedTuple):
    """Clusters of successive rows of the lattice.

    Attributes
    ----------
    first, last : int64 (Ly,), cluster of each site of the first and of the last row, -1 where none
    sizes : int64 (n,), of the clusters that touch these rows
    whole : number of the others by size
    """

    first: np.ndarray
    last: np.ndarray
    sizes: np.ndarray
    whole: Counter[int]


def _slab(first: np.ndarray, last: np.ndarray, sizes: np.ndarray, seam: np.ndarray, whole: Counter[int]) -> _Slab:
    """The slab with these clusters, after those are joined that meet at a `seam`: int64 (n, 2), -1 where none."""
    pairs = seam[(seam >= 0).all(axis=1)]
    graph = scipy.sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(sizes), len(sizes)))
    _, component = scipy.sparse.csgraph.connected_components(graph, directed=False)
    totals = np.bincount(component, sizes).astype(np.int64)
    rows = np.concatenate([first, last]).astype(np.int64)
    touching, rows[rows >= 0] = np.unique(component[rows[rows >= 0]], return_inverse=True)
    size, number = np.unique(np.delete(totals, touching), return_counts=True)
    found = Counter(dict(zip(size.tolist(), number.tolist(), strict=True)))
    return _Slab(rows[: len(first)], rows[len(first) :], totals[touching], whole + found)


def _joined(upper: _Slab, lower: _Slab) -> _Slab:
    """Two slabs, one below the other."""
    first, last = (np.where(row >= 0, row + len(upper.sizes), -1) for row in (lower.first, lower.last))
    seam, sizes = np.stack([upper.last, first], axis=1), np.concatenate([upper.sizes, lower.sizes])
    return _slab(upper.first, last, sizes, seam, upper.whole + lower.whole)


def cluster_numbers(domain: Domain, mobile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of the lattice, from this rank's rows of a boolean map. Collective.

    Returns
    -------
    sizes : int64 (n,), ascending, each of them once;  numbers : int64 (n,), how many clusters there are of each
    """
    labels, found = scipy.ndimage.label(mobile)
    sizes = np.bincount(labels.ravel(), minlength=found + 1)[1:]
    edges = labels[:, [-1, 0]].astype(np.int64) - 1  # y is periodic on this rank
    own = _slab(labels[0] - 1, labels[-1] - 1, sizes, edges, Counter())
    all_rows = domain.fold(own, _joined)
    none = np.empty(0, np.int64)
    seam = np.stack([all_rows.last, all_rows.first], axis=1)
    whole = _slab(none, none, all_rows.sizes, seam, all_rows.whole).whole
    size, number = np.array(sorted(whole.items()), np.int64).reshape(-1, 2).T
    return size, number


def mean_size(sizes: np.ndarray, numbers: np.ndarray) -> float:
    """sum s^2 / sum s over clusters, 0 if there are none. In float64: s^2 exceeds 64 bits from L = 55109 on."""
    squares: float = (numbers * sizes.astype(np.float64) ** 2).sum()
    return squares / max(int((numbers * sizes).sum()), 1)


def _bins(sites: int) -> LogBins:
    """Of sizes, up to that of the lattice."""
    return LogBins(0, int(np.log10(sites)) + 1, 8, whole=True)


class Clusters(Observer):
    """Per origin and lag: number of clusters by size, their mean size <s^2> / <s>, and the largest."""

    name = "clusters"
    order = 70
    of_stationary = False
    variables = (
        Variable("clusters/number", ("origin", "lag", "size"), "f8", "1", "clusters in each bin of sizes, NaN once the "
                 "origin has ended", ragged=True),
        Variable("clusters/mean_size", ("origin", "lag"), "f8", "sites", "sum s^2 / sum s: of the cluster of a mobile site",
                 ragged=True),
        Variable("clusters/largest", ("origin", "lag"), "f8", "sites", "size of the largest", ragged=True),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.clusters."""
        kind = Annotated[Maps | None, Change.EQUILIBRATING]
        return {"clusters": (kind, Field(default=None, description="sizes of the clusters of mobile sites"))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Is the section there?"""
        return params.output.clusters is not None

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Of the maps that the observer of persistence keeps."""
        persistence = setting.made["persistence"]
        assert isinstance(persistence, Persistence)
        return cls(setting.domain, lags(setting.params, setting.params.output.clusters), persistence)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Numbers for each origin, lag and bin."""
        bins, origins = _bins(math.prod(params.lattice.size)).number, params.run.origins
        number = len(lags(params, params.output.clusters).up_to(durations.origin))
        each = 8 * origins * number
        return {
            "clusters/lag": 8 * number, "clusters/edges": 8 * (bins + 1), "clusters/number": each * bins,
            "clusters/mean_size": each, "clusters/largest": each,
        }  # fmt: skip

    def __init__(self, domain: Domain, lags: LogSpaced, persistence: Persistence) -> None:
        self.domain, self._lags, self._persistence = domain, lags, persistence
        self._bins = _bins(domain.sites)

    def end_phase(self, state: State, record: Record) -> None:
        """Record the origin that has ended, if one has."""
        if self._persistence.closed is None:
            return
        first_time, duration = self._persistence.closed
        found = [cluster_numbers(self.domain, first_time <= lag) for lag in self._lags.up_to(duration)]
        record("clusters/number", np.array([self._bins.histogram(*pair) for pair in found]).reshape(-1, self._bins.number))
        record("clusters/mean_size", np.array([mean_size(*pair) for pair in found]))
        record("clusters/largest", np.array([sizes.max(initial=0) for sizes, _ in found]))

    def constants(self) -> dict[str, np.ndarray]:
        """Lags, and edges of the bins."""
        return {"clusters/lag": self._lags.up_to(self._persistence.longest), "clusters/edges": self._bins.edges}
