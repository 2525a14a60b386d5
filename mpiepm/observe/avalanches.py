"""Avalanches: events that follow each other, anywhere on the lattice, until a criterion says that the avalanche is over.

Thermal: an avalanche ends when nothing has happened for `gap` sweeps. Extremal dynamics: it ends when the stability of all
sites, x = 1 - |stress| / threshold, exceeds x0, that is before an event of a site with x >= x0. Of each avalanche: size S
(events), duration (from its first to its last event), and extent, the radius of gyration of its events on the periodic lattice,
sqrt(<|r - <r>|^2>).
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.sections import Positive, Section
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable
from mpiepm.observe.bins import LogBins

# of the avalanche that goes on: its events so far (-1: it began before we looked), row and column of the first, sums of the
# displacements x, y and x^2 + y^2 from there: int64, exact up to 7e10 events at L = 16384; times of its first and last event
_SIZE, _ROW, _COLUMN, _X, _Y, _SQUARE = range(6)
_BEGAN, _LAST = range(2)
_UNSEEN = -1
_BINS = LogBins(0, 12, 8, whole=True)


class AvalanchesSection(Section):
    """[output] avalanches: events that follow each other closely."""

    gaps: Annotated[tuple[Positive, ...], Field(strict=False)] = Field(
        default=(1.0, 10.0), description="an avalanche ends when nothing happens for so many sweeps; one analysis for each"
    )
    thresholds: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(strict=False)] = Field(
        default=(), description="extremal dynamics: it ends when 1 - abs(sigma) / sigma_c > x0 on all sites"
    )

    def check(self, params: Any) -> None:
        """They end by what the dynamics has."""
        if self.thresholds and not params.engine.extremal:
            raise ValueError("output.avalanches.thresholds: only with engine.dynamics = 'extremal'")
        if self.gaps and params.engine.extremal:
            raise ValueError("output.avalanches.gaps: must be [] for extremal dynamics, where time counts events")


@njit
def _bursts(events: np.ndarray, gaps: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Successive events of this rank that belong to one avalanche whatever the others do, by criterion.

    These are events with pauses up to `gap`. With a threshold each event is a burst of its own: another rank may begin an
    avalanche between two. `events` (n, 4): time, row, column, stability, in the order of time.

    Returns
    -------
    float64 (m, 6) : criterion; time, row, column and stability of the first event; time of the last
    """
    found = np.empty((len(gaps) * len(events), 6))
    n = 0
    for k in range(len(gaps)):
        for e in range(len(events)):
            if e == 0 or thresholds[k] < np.inf or events[e, 0] - events[e - 1, 0] > gaps[k]:
                found[n, 0], found[n, 1:5] = k, events[e]
                n += 1
            found[n - 1, 5] = events[e, 0]
    return found[:n]


@njit
def _avalanches(
    bursts: np.ndarray, gaps: np.ndarray, thresholds: np.ndarray, counts: np.ndarray, times: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Of every criterion the avalanche that goes on (`counts`, `times`), and those that begin with the bursts of all ranks.

    Returns
    -------
    float64 (n, 5) : criterion; row and column of the first event, its time, and that of the last
    """
    found = np.empty((len(gaps) + len(bursts), 5))
    n = b = 0
    for k in range(len(gaps)):
        found[n, 0], found[n, 1], found[n, 2], found[n, 3:] = k, counts[k, _ROW], counts[k, _COLUMN], times[k]
        n += 1
        while b < len(bursts) and bursts[b, 0] == k:
            if bursts[b, 1] - found[n - 1, 4] > gaps[k] or bursts[b, 4] >= thresholds[k]:
                found[n, 0], found[n, 1:3], found[n, 3:] = k, bursts[b, 2:4], bursts[b, 1]
                n += 1
            found[n - 1, 4] = max(found[n - 1, 4], bursts[b, 5])
            b += 1
    return found[:n]


@njit
def _add_up(lx: int, ly: int, events: np.ndarray, avalanches: np.ndarray) -> np.ndarray:
    """Of each avalanche this rank's events and their sums of x, y and x^2 + y^2: int64 (n, 4)."""
    sums = np.zeros((len(avalanches), 4), np.int64)
    e = 0
    for a in range(len(avalanches)):
        k, row, column = avalanches[a, 0], int(avalanches[a, 1]), int(avalanches[a, 2])
        if a > 0 and avalanches[a - 1, 0] != k:
            e = 0
        end = avalanches[a + 1, 3] if a + 1 < len(avalanches) and avalanches[a + 1, 0] == k else np.inf
        while e < len(events) and events[e, 0] < end:
            x = (int(events[e, 1]) - row + lx // 2) % lx - lx // 2
            y = (int(events[e, 2]) - column + ly // 2) % ly - ly // 2
            sums[a, 0] += 1
            sums[a, 1] += x
            sums[a, 2] += y
            sums[a, 3] += x * x + y * y
            e += 1
    return sums


@njit
def _follow(
    avalanches: np.ndarray, added: np.ndarray, counts: np.ndarray, times: np.ndarray,
    edges: np.ndarray, sums: np.ndarray, moments: np.ndarray,
) -> None:  # fmt: skip
    """Add those avalanches that are over, and make the last of every criterion the one that goes on.

    One after the other, so that the sums do not depend on how the events were handed out: to sums (criterion, 3, bin) of 1,
    duration and extent, and to moments (criterion, 5): sums of 1, S, S^2, S^3, and the largest S.
    """
    for a in range(len(avalanches)):
        k = int(avalanches[a, 0])
        if a > 0 and avalanches[a - 1, 0] == k:
            if counts[k, _SIZE] != _UNSEEN:
                size = float(counts[k, _SIZE])
                square = counts[k, _SQUARE] / size - (counts[k, _X] / size) ** 2 - (counts[k, _Y] / size) ** 2
                b = min(np.searchsorted(edges, size, side="right"), sums.shape[2]) - 1
                sums[k, 0, b] += 1.0
                sums[k, 1, b] += times[k, _LAST] - times[k, _BEGAN]
                sums[k, 2, b] += np.sqrt(max(square, 0.0))
                for power in range(4):
                    moments[k, power] += size**power
                moments[k, 4] = max(moments[k, 4], size)
            counts[k] = 0
            counts[k, _ROW], counts[k, _COLUMN] = int(avalanches[a, 1]), int(avalanches[a, 2])
        if counts[k, _SIZE] != _UNSEEN:
            counts[k, _SIZE] += added[a, 0]
            counts[k, _X:] += added[a, 1:]
        times[k] = avalanches[a, 3:]


class Avalanches(Observer):
    """Of each criterion, and between an origin and the next: avalanches by size, with their mean duration and extent."""

    name = "avalanches"
    order = 80
    of_stationary = False
    variables = (
        Variable("avalanches/number", ("origin", "criterion", "size"), "i8", "1", "avalanches in each bin of sizes"),
        Variable("avalanches/duration", ("origin", "criterion", "size"), "f8", "{time}", "sum over those of the bin"),
        Variable("avalanches/extent", ("origin", "criterion", "size"), "f8", "site", "sum over those of the bin"),
        Variable("avalanches/moments", ("origin", "criterion", "power"), "f8", "1", "sums of 1, S, S^2, S^3; largest S"),
    )

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.avalanches."""
        kind = Annotated[AvalanchesSection | None, Change.EQUILIBRATING]
        return {"avalanches": (kind, Field(default=None, description="sizes, durations and extent of avalanches"))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Is the section there?"""
        return params.output.avalanches is not None

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """For each of the criteria."""
        section = setting.params.output.avalanches
        return cls(setting.domain, section.gaps, section.thresholds)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Numbers for each origin, criterion and bin."""
        section, bins = params.output.avalanches, _BINS.number
        criteria = len(section.gaps) + len(section.thresholds)
        each = 8 * params.run.origins * criteria
        curves = {f"avalanches/{name}": bins * each for name in ("number", "duration", "extent")}
        return {
            "avalanches/gap": 8 * criteria, "avalanches/threshold": 8 * criteria, "avalanches/edges": 8 * (bins + 1),
            "avalanches/moments": 5 * each, **curves,
        }  # fmt: skip

    def __init__(self, domain: Domain, gaps: tuple[float, ...], thresholds: tuple[float, ...]) -> None:
        self.domain = domain
        self._gaps = np.array([*gaps, *(np.inf for _ in thresholds)])
        self._thresholds = np.array([*(np.inf for _ in gaps), *thresholds])
        criteria = len(self._gaps)
        self._bins = _BINS
        self._counts = np.zeros((criteria, 6), np.int64)
        self._counts[:, _SIZE] = _UNSEEN
        self._times = np.zeros((criteria, 2))
        self._sums = np.zeros((criteria, 3, self._bins.number))
        self._moments = np.zeros((criteria, 5))
        self._origin = EQUILIBRATION

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """No avalanche has ended yet."""
        self._origin = origin
        self._sums[:] = 0.0
        self._moments[:] = 0.0

    def receive(self, events: Events) -> None:
        """Follow the avalanches through the events of all ranks: they tell each other their bursts, and sums over each."""
        if self._origin == EQUILIBRATION:
            return
        stability = np.full(len(events), -np.inf) if events.stability is None else events.stability
        own = np.stack([events.time, events.row, events.column, stability], axis=1)
        own = own[np.lexsort(own.T[2::-1])]
        bursts = self.domain.gather(_bursts(own, self._gaps, self._thresholds))
        bursts = bursts[np.lexsort(bursts.T[3::-1])]
        avalanches = _avalanches(bursts, self._gaps, self._thresholds, self._counts, self._times)
        added = self.domain.sum_counts(_add_up(*self.domain.shape, own, avalanches))
        _follow(avalanches, added, self._counts, self._times, self._bins.edges, self._sums, self._moments)

    def end_phase(self, state: State, record: Record) -> None:
        """Record what has ended since the origin; an avalanche that goes on is left to the next."""
        if self._origin >= 0:
            for k, name in enumerate(("number", "duration", "extent")):
                record(f"avalanches/{name}", self._sums[:, k].copy())
            record("avalanches/moments", self._moments.copy())
        if self._origin != EQUILIBRATION:
            self._times -= state.time

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The avalanches that go on, and those that have ended since the origin."""
        present = [[*counts, *times] for counts, times in zip(self._counts.tolist(), self._times.tolist(), strict=True)]
        return {
            "origin": self._origin, "present": present, "sums": self._sums.tolist(), "moments": self._moments.tolist(),
        }, {}  # fmt: skip

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin = scalars["origin"]
        for k, present in enumerate(scalars["present"]):
            self._counts[k], self._times[k] = present[:6], present[6:]
        self._sums[:], self._moments[:] = scalars["sums"], scalars["moments"]

    def constants(self) -> dict[str, np.ndarray]:
        """Criteria (NaN: not this one) and edges of the bins."""
        gaps, thresholds = (np.where(np.isinf(c), np.nan, c) for c in (self._gaps, self._thresholds))
        return {"avalanches/gap": gaps, "avalanches/threshold": thresholds, "avalanches/edges": self._bins.edges}
