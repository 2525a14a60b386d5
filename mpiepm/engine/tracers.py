"""Tracers on the ranks: each rank holds those between its first row and the next rank's, and sends on those that leave.

Every tracer has an identity for life. Archive and checkpoint want them in the order of identity, cut evenly: `by_identity`.
Memory and messages of a rank grow with the tracers it holds, not with their number on the whole lattice.
"""

from typing import Any

import numpy as np

from mpiepm.core import output_sections as sections
from mpiepm.engine import interpolation
from mpiepm.grid.domain import Domain


class Tracers:
    """The tracers of this rank, none before `place`.

    Attributes
    ----------
    number : on the whole lattice;  placed : are they there yet
    identity : int64 (n,);  position : float64 (n, 2), unwrapped, sites
    """

    lists = ("position",)  # of `save`: not a field of the lattice

    def __init__(self, domain: Domain, given: sections.Tracers, seed: int) -> None:
        self.domain = domain
        self.number = given.number
        self.placed = False
        self.identity, self.position = np.empty(0, np.int64), np.empty((0, 2))
        self._on_sites, self._seed = given.placement == "sites", seed

    def place(self) -> None:
        """Put the tracers on the lattice, unless they are there already. Collective."""
        if self.placed:
            return
        share = self.domain.share(self.number)
        position = np.empty((share.stop - share.start, 2))
        if self._on_sites:
            interpolation.on_sites(self.number, share.start, *self.domain.shape, position)
        else:
            interpolation.at_random(self._seed, share.start, *self.domain.shape, position)
        self._take_over(position)

    def _take_over(self, position: np.ndarray) -> None:
        """Tracers cut by identity go to the ranks that hold their rows. Collective."""
        self.placed = True
        share = self.domain.share(self.number)
        self.identity, self.position = np.arange(share.start, share.stop), position
        self._set(self.domain.send(self._rows(slice(None)), self._owners()))

    def _owners(self) -> np.ndarray:
        row = np.empty(len(self.identity), np.int64)
        interpolation.rows_of(self.position, self.domain.shape[0], row)
        return self.domain.owners(row)

    def _rows(self, which: Any) -> np.ndarray:
        return np.column_stack([self.identity[which].astype(np.float64), self.position[which]])

    def _set(self, rows: np.ndarray) -> None:
        self.identity, self.position = rows[:, 0].astype(np.int64), np.ascontiguousarray(rows[:, 1:])

    def move(self, displacement: np.ndarray) -> None:
        """Follow the displacement (2, local rows + 1, Ly), whose last row is that below ours; see `drift`. Collective."""
        domain = self.domain
        interpolation.drift(domain.first_row, domain.shape[0], displacement, self.position)
        if domain.size == 1:
            return
        owner = self._owners()
        above, below = (domain.rank - 1) % domain.size, (domain.rank + 1) % domain.size
        stay, up = owner == domain.rank, owner == above
        down = (owner == below) & ~up
        arrived = [*domain.swap_with_neighbours(self._rows(up), self._rows(down))]
        far = ~(stay | up | down)  # more than a slab in one step: never, unless slabs are thin and gains are large
        if domain.sum_counts(int(far.sum())):
            arrived.append(domain.send(self._rows(far), owner[far]))
        if not stay.all() or any(map(len, arrived)):
            self._set(np.concatenate([self._rows(stay), *arrived]))

    def by_identity(self) -> np.ndarray:
        """Positions of this rank's share of all tracers, in the order of identity: float64 (n, 2). Collective."""
        share = self.domain.share(self.number)
        if not self.placed:
            return np.zeros((share.stop - share.start, 2))
        rows = self.domain.send(self._rows(slice(None)), self.domain.sharers(self.number, self.identity))
        positions = np.empty((share.stop - share.start, 2))
        positions[rows[:, 0].astype(np.int64) - share.start] = rows[:, 1:]
        return positions

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Positions by identity, for a checkpoint. Collective."""
        return {"placed": self.placed}, {"position": self.by_identity()}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`. Collective."""
        if scalars["placed"]:
            self._take_over(np.ascontiguousarray(fields["position"]))
