"""The lattice cut into slabs of whole rows, one slab a rank, and the sums that do not depend on the cut."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI

from mpiepm.core.jit import njit
from mpiepm.grid.collective import Exchange, exchange
from mpiepm.grid.communicator import Communicator
from mpiepm.grid.root import on_root, root_at_work

_Value = TypeVar("_Value")

ALONE = MPI.COMM_SELF  # of a process that works by itself, whatever the others do


def even_partition(length: int, parts: int) -> np.ndarray:
    """Boundaries (parts + 1,) of the contiguous cut of `length` into `parts`, the first ones longer by one if uneven."""
    sizes = np.full(parts, length // parts)
    sizes[: length % parts] += 1
    return np.concatenate([[0], np.cumsum(sizes)])


@njit
def _row_sums(field: np.ndarray, power: int, out: np.ndarray) -> None:
    for i in range(field.shape[0]):
        total = 0.0
        for j in range(field.shape[1]):
            term = 1.0
            for _ in range(power):
                term *= field[i, j]
            total += term
        out[i] = total


class Domain:
    """Slab decomposition of a periodic lattice of shape (Lx, Ly): each rank holds a contiguous block of rows.

    Parameters
    ----------
    shape : (Lx, Ly), sites
    comm : communicator of all ranks (default: all processes)
    boundaries : first row of every rank and Lx at the end, (P + 1,); default: as even as possible

    Attributes
    ----------
    first_row : global index of this rank's first row
    local_shape : (rows of this rank, Ly)

    Raises
    ------
    ValueError : on every rank, if there are more ranks than the transposed transform can use, min(Lx, Ly // 2 + 1)
    """

    def __init__(
        self, shape: tuple[int, int], comm: MPI.Intracomm | None = None, boundaries: Sequence[int] | None = None
    ) -> None:
        self._comm = Communicator(MPI.COMM_WORLD if comm is None else comm)
        self.rank, self.size = self._comm.rank, self._comm.size
        self.shape = shape
        largest = max_ranks(shape)
        if self.size > largest:
            raise ValueError(f"lattice.size = {list(shape)}: {self.size} ranks are too many, at most {largest} can share it")
        self.boundaries = even_partition(shape[0], self.size) if boundaries is None else np.asarray(boundaries)
        if len(self.boundaries) != self.size + 1 or self.boundaries[0] != 0 or self.boundaries[-1] != shape[0]:
            raise ValueError(f"boundaries {list(self.boundaries)} do not cut {shape[0]} rows into {self.size} slabs")
        if np.any(np.diff(self.boundaries) < 1):
            raise ValueError(f"boundaries {list(self.boundaries)} leave a rank without rows")
        self.first_row = int(self.boundaries[self.rank])
        self.local_shape = (int(self.boundaries[self.rank + 1]) - self.first_row, shape[1])

    @property
    def sites(self) -> int:
        """Number of sites of the whole lattice."""
        return self.shape[0] * self.shape[1]

    @property
    def rows(self) -> slice:
        """Rows of the lattice that this rank holds."""
        return slice(self.first_row, self.first_row + self.local_shape[0])

    def shares(self, items: int) -> np.ndarray:
        """Even cut of so many items in their order: the first of every rank, and their number, (P + 1,)."""
        return even_partition(items, self.size)

    def share(self, items: int) -> slice:
        """Part of `shares` that is this rank's."""
        cut = self.shares(items)
        return slice(int(cut[self.rank]), int(cut[self.rank + 1]))

    def stacked(self, rows: int) -> np.ndarray:
        """Boundaries (P + 1,) of what the ranks hold one after the other, `rows` of it on this one. Collective."""
        counts = np.empty(self.size, np.int64)
        self._comm.Allgather(np.array([rows], np.int64), counts)
        return np.concatenate([[0], np.cumsum(counts)])

    def sharers(self, items: int, item: np.ndarray) -> np.ndarray:
        """Rank in whose share each of the given items lies: int64, same shape as `item`."""
        return np.searchsorted(self.shares(items), item, side="right") - 1

    def owners(self, row: np.ndarray) -> np.ndarray:
        """Rank that holds each of the given rows of the lattice: int64, same shape as `row`."""
        return np.searchsorted(self.boundaries, row, side="right") - 1

    def send(self, rows: np.ndarray, destination: np.ndarray) -> np.ndarray:
        """Send each of the rows float64 (n, k) to the rank destination[n]; those received, by sender. Collective."""
        if self.size == 1:
            return rows
        order = np.argsort(destination, kind="stable")
        counts = np.bincount(destination, minlength=self.size).astype(np.int64)
        incoming = np.empty(self.size, np.int64)
        self._comm.Alltoall(counts, incoming)
        width = rows.shape[1]
        received = np.empty((int(incoming.sum()), width))
        self._comm.Alltoallv(
            [np.ascontiguousarray(rows[order]), counts * width, MPI.DOUBLE], [received, incoming * width, MPI.DOUBLE]
        )
        return received

    def sum_rows(self, row_values: np.ndarray) -> float:
        """Sum over all rows of the lattice of one float64 per row of this rank, added in global order. Collective.

        The result has the same bits on every rank and for every cut of the lattice.
        """
        everything = np.empty(self.shape[0])
        counts = np.diff(self.boundaries)
        self._comm.Allgatherv(
            np.ascontiguousarray(row_values, dtype=np.float64), [everything, counts, self.boundaries[:-1], MPI.DOUBLE]
        )
        total = 0.0
        for value in everything.tolist():
            total += value
        return total

    def sum_power(self, field: np.ndarray, power: int = 1) -> float:
        """Sum over the lattice of field ** power, row by row and then over the rows in global order. Collective."""
        row_values = np.empty(self.local_shape[0])
        _row_sums(field, power, row_values)
        return self.sum_rows(row_values)

    def sum_counts(self, counts: np.ndarray | int) -> np.ndarray:
        """Sum over ranks of integer counts (exact, so the order is free): int64, same shape. Collective."""
        total = np.array(counts, dtype=np.int64)
        if self.size > 1:
            self._comm.Allreduce(MPI.IN_PLACE, total, op=MPI.SUM)
        return total

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Rows of float64 (n, k) of all ranks, one rank after the other, on every rank. Collective."""
        if self.size == 1:
            return rows
        boundaries, width = self.stacked(len(rows)), rows.shape[1]
        everything = np.empty((int(boundaries[-1]), width))
        self._comm.Allgatherv(np.ascontiguousarray(rows), [everything, np.diff(boundaries) * width, MPI.DOUBLE])
        return everything

    def fold(self, value: _Value, join: Callable[[_Value, _Value], _Value]) -> _Value:
        """join(join(v0, v1), join(v2, v3)) ... of the values of all ranks, in their order, on all of them. Collective.

        `join` must be associative, need not be commutative. A rank receives at most log2 P values, and the result.
        """
        return value if self.size == 1 else self._comm.allreduce(value, join)

    def collect(self, value: _Value) -> list[_Value]:
        """Values of all ranks, in their order, on every rank. Collective. They are pickled: for what is small and seldom."""
        values: list[_Value] = self._comm.allgather(value)
        return values

    def broadcast(self, value: _Value) -> _Value:
        """The value of rank 0, on every rank. Collective; pickled, as in `collect`."""
        result: _Value = self._comm.bcast(value)
        return result

    def barrier(self) -> None:
        """Return when all ranks have come here. Collective."""
        self._comm.Barrier()

    def on_root(self, work: Callable[[], _Value]) -> _Value:
        """See `grid.root.on_root`. Collective."""
        return on_root(self._comm, work)

    def root_at_work(self) -> AbstractContextManager[None]:
        """See `grid.root.root_at_work`. Collective."""
        return root_at_work(self._comm)

    def xor(self, values: np.ndarray) -> None:
        """Replace integers of any shape by their exclusive or over all ranks. Collective."""
        self._comm.Allreduce(MPI.IN_PLACE, values, op=MPI.BXOR)

    def send_to_root(self, rows: np.ndarray) -> None:
        """Send an array to rank 0, which is to call `receive`."""
        self._comm.Send([rows, MPI.BYTE], dest=0)

    def receive(self, rows: np.ndarray, rank: int) -> None:
        """Fill an array with what the rank sends by `send_to_root`."""
        self._comm.Recv([rows, MPI.BYTE], source=rank)

    def mpio(self) -> dict[str, Any]:
        """Arguments of `h5py.File` with which all ranks open one file together."""
        return {"driver": "mpio", "comm": self._comm}

    def exchange(self) -> Exchange:
        """For compiled code, see `grid.collective`; it must not outlive this domain."""
        return exchange(self._comm)

    def minimum(self, value: float) -> float:
        """Smallest `value` of all ranks. Collective."""
        if self.size == 1:
            return value
        result = np.array([value], dtype=np.float64)
        self._comm.Allreduce(MPI.IN_PLACE, result, op=MPI.MIN)
        return float(result[0])

    def swap_with_neighbours(self, up: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Send rows of float64 (n, k) to the ranks above and below; receive theirs: (from above, from below). Collective.

        The lattice is periodic: the rank above the first is the last.
        """
        if self.size == 1:
            return down, up
        above, below = (self.rank - 1) % self.size, (self.rank + 1) % self.size
        counts = np.array([len(up), len(down)])
        from_above, from_below = np.empty(1, np.int64), np.empty(1, np.int64)
        self._comm.Sendrecv(counts[:1], above, 0, from_below, below, 0)
        self._comm.Sendrecv(counts[1:], below, 1, from_above, above, 1)
        results = [np.empty((int(n[0]), up.shape[1])) for n in (from_above, from_below)]
        self._comm.Sendrecv(np.ascontiguousarray(up), above, 2, results[1], below, 2)
        self._comm.Sendrecv(np.ascontiguousarray(down), below, 3, results[0], above, 3)
        return results[0], results[1]


def max_ranks(shape: tuple[int, int]) -> int:
    """Largest number of ranks that can share a lattice: every one needs a row and a column of the half spectrum."""
    return min(shape[0], shape[1] // 2 + 1)
