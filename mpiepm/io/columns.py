"""Records that wait in memory: a growing array for each variable, whose bytes are known."""

from collections.abc import Iterator

import numpy as np

from mpiepm.io.crc import BLOCK_BYTES

_OBJECT = 128  # bytes of an array besides its values


class Column:
    """Records of a variable that is the same on all ranks, in one array."""

    def __init__(self, dtype: str) -> None:
        self._array = np.empty(0, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def bytes(self) -> int:
        """Taken in memory, those not yet in use included."""
        return self._array.nbytes

    @property
    def values(self) -> np.ndarray:
        """All records (n, ...), as a view."""
        return self._array[: self._length]

    @property
    def entry(self) -> tuple[int, ...]:
        """Shape of a record."""
        return self._array.shape[1:]

    def append(self, record: np.ndarray | float | int) -> None:
        """Add a record."""
        if self._length == len(self._array):
            self._grow(np.shape(record))
        self._array[self._length] = record
        self._length += 1

    def _grow(self, entry: tuple[int, ...]) -> None:
        """Room for twice as many records, of this shape."""
        old = self.values
        self._array = np.empty((max(1, 2 * len(old)), *entry), old.dtype)
        if len(old):
            self._array[: len(old)] = old

    def blocks(self) -> Iterator[np.ndarray]:
        """The records in their order, some at a time."""
        step = max(1, BLOCK_BYTES // max(self.values[:1].nbytes, 1))
        for first in range(0, self._length, step):
            yield self.values[first : first + step]

    def clear(self) -> None:
        """Forget all records, and return the memory."""
        self._array, self._length = np.empty(0, self._array.dtype), 0


class Ragged(Column):
    """Records that differ in length along their first dimension: all are as long as the longest, and end with NaN."""

    def append(self, record: np.ndarray | float | int) -> None:
        """Add a record."""
        row = np.asarray(record)
        if self._length == len(self._array) or len(row) > self.entry[0]:
            self._grow(row.shape)
        self._array[self._length, : len(row)] = row
        self._array[self._length, len(row) :] = np.nan
        self._length += 1

    def _grow(self, entry: tuple[int, ...]) -> None:
        old = self.values
        capacity = len(self._array) if self._length < len(self._array) else max(1, 2 * self._length)
        length = max([entry[0], *self.entry[:1]])
        self._array = np.empty((capacity, length, *entry[1:]), old.dtype)
        if len(old):
            self._array[: len(old), : old.shape[1]] = old
            self._array[: len(old), old.shape[1] :] = np.nan


class Slabs:
    """Records of a distributed variable: this rank's rows (n, width), each an array of its own, for they are large."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._slabs: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._slabs)

    @property
    def bytes(self) -> int:
        """Taken in memory."""
        return len(self) * (self._slabs[0].nbytes + _OBJECT) if self._slabs else 0

    @property
    def entry(self) -> tuple[int, ...]:
        """Shape of a record."""
        return self._slabs[0].shape

    def append(self, record: np.ndarray | float | int) -> None:
        """Add a record."""
        self._slabs.append(np.asarray(record, self._dtype))

    def blocks(self) -> Iterator[np.ndarray]:
        """The records in their order, one at a time."""
        return (slab[None] for slab in self._slabs)

    def clear(self) -> None:
        """Forget all records."""
        self._slabs.clear()
