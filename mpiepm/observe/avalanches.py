"""Avalanches: events that follow each other, anywhere on the lattice, until a criterion says that the avalanche is over.

Thermal: an avalanche ends when nothing has happened for `gap` sweeps. Extremal dynamics: it ends when the stability of all
sites, x = 1 - |stress| / threshold, exceeds x0, that is before an event of a site with x >= x0. Of each avalanche: size S
(events), duration (from its first to its last event), and extent, the radius of gyration of its events on the periodic lattice,
sqrt(<|r - <r>|^2>).
"""

from typing import Any

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.grid.domain import Domain
from mpiepm.observe.base import EQUILIBRATION, Observer, Record, Variable
from mpiepm.observe.bins import LogBins
from mpiepm.physics.state import Events, State

# of the avalanche that goes on: size (0: none; -1: it began before we looked), row and column of its first event, sums of the
# displacements x, y and x^2 + y^2 from there, time of its first and of its last event
_SIZE, _ROW, _COLUMN, _X, _Y, _SQUARE, _BEGAN, _LAST = range(8)
_UNSEEN = -1.0


@njit
def _follow(
    lx: int, ly: int, events: np.ndarray, gap: float, threshold: float, present: np.ndarray,
    edges: np.ndarray, sums: np.ndarray, moments: np.ndarray,
) -> None:  # fmt: skip
    """Go through `events` (n, 4: time, row, column, stability) and add those avalanches that end meanwhile.

    One after the other, so that the sums do not depend on how the events were handed out: to sums (3, bin) of 1, duration and
    extent, and to moments (5,): sums of 1, S, S^2, S^3, and the largest S.
    """
    for e in range(len(events)):
        time, row, column = events[e, 0], events[e, 1], events[e, 2]
        if time - present[_LAST] > gap or events[e, 3] >= threshold:
            size = present[_SIZE]
            if size > 0.0:
                square = present[_SQUARE] / size - (present[_X] / size) ** 2 - (present[_Y] / size) ** 2
                k = min(np.searchsorted(edges, size, side="right"), sums.shape[1]) - 1
                sums[0, k] += 1.0
                sums[1, k] += present[_LAST] - present[_BEGAN]
                sums[2, k] += np.sqrt(max(square, 0.0))
                for power in range(4):
                    moments[power] += size**power
                moments[4] = max(moments[4], size)
            present[_SIZE] = present[_X] = present[_Y] = present[_SQUARE] = 0.0
            present[_ROW], present[_COLUMN], present[_BEGAN] = row, column, time
        if present[_SIZE] != _UNSEEN:
            x = (row - present[_ROW] + lx // 2) % lx - lx // 2
            y = (column - present[_COLUMN] + ly // 2) % ly - ly // 2
            present[_SIZE] += 1.0
            present[_X] += x
            present[_Y] += y
            present[_SQUARE] += x * x + y * y
        present[_LAST] = time


class Avalanches(Observer):
    """Of each criterion, and between an origin and the next: avalanches by size, with their mean duration and extent."""

    name = "avalanches"
    variables = (
        Variable("avalanches/number", ("origin", "criterion", "size"), "i8", "1", "avalanches in each bin of sizes"),
        Variable("avalanches/duration", ("origin", "criterion", "size"), "f8", "{time}", "sum over those of the bin"),
        Variable("avalanches/extent", ("origin", "criterion", "size"), "f8", "site", "sum over those of the bin"),
        Variable("avalanches/moments", ("origin", "criterion", "power"), "f8", "1", "sums of 1, S, S^2, S^3; largest S"),
    )

    def __init__(self, domain: Domain, gaps: tuple[float, ...], thresholds: tuple[float, ...]) -> None:
        self.domain = domain
        self._criteria = [(gap, np.inf) for gap in gaps] + [(np.inf, x0) for x0 in thresholds]
        self._bins = LogBins(0, 12, 8, whole=True)
        self._present = np.zeros((len(self._criteria), 8))
        self._present[:, _SIZE] = _UNSEEN
        self._sums = np.zeros((len(self._criteria), 3, self._bins.number))
        self._moments = np.zeros((len(self._criteria), 5))
        self._origin = EQUILIBRATION

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """No avalanche has ended yet."""
        self._origin = origin
        self._sums[:] = 0.0
        self._moments[:] = 0.0

    def receive(self, events: Events) -> None:
        """Follow the events of all ranks in the order of time."""
        if self._origin == EQUILIBRATION:
            return
        stability = np.full(len(events), -np.inf) if events.stability is None else events.stability
        everything = self.domain.gather(np.stack([events.time, events.row, events.column, stability], axis=1))
        everything = everything[np.lexsort(everything.T[2::-1])]
        for k, (gap, threshold) in enumerate(self._criteria):
            _follow(
                *self.domain.shape, everything, gap, threshold, self._present[k],
                self._bins.edges, self._sums[k], self._moments[k],
            )  # fmt: skip

    def end_phase(self, state: State, record: Record) -> None:
        """Record what has ended since the origin; an avalanche that goes on is left to the next."""
        if self._origin >= 0:
            for k, name in enumerate(("number", "duration", "extent")):
                record(f"avalanches/{name}", self._sums[:, k].copy())
            record("avalanches/moments", self._moments.copy())
        if self._origin != EQUILIBRATION:
            self._present[:, [_BEGAN, _LAST]] -= state.time

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The avalanches that go on, and those that have ended since the origin."""
        arrays = {"present": self._present, "sums": self._sums, "moments": self._moments}
        return {"origin": self._origin, **{name: array.tolist() for name, array in arrays.items()}}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin = scalars["origin"]
        self._present[:], self._sums[:] = scalars["present"], scalars["sums"]
        self._moments[:] = scalars["moments"]

    def constants(self) -> dict[str, np.ndarray]:
        """Criteria (NaN: not this one) and edges of the bins."""
        gaps, thresholds = np.where(np.isinf(self._criteria), np.nan, self._criteria).T
        return {"avalanches/gap": gaps, "avalanches/threshold": thresholds, "avalanches/edges": self._bins.edges}
