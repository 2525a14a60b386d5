"""A variable that is to be written to an HDF5 file, and where its values come from."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Dataset:
    """A variable to be written.

    Attributes
    ----------
    dims : names of the dimensions;  shape : their lengths, on the whole lattice
    dtype : of the values
    blocks : gives the values in pieces (n, ...) of successive entries along the first dimension; of a distributed variable this
        rank's rows (n, local rows, width), otherwise all of them, and on rank 0 only
    attributes : units, description
    boundaries : of a distributed variable: first row of every rank along the second dimension, and their number (P + 1,)
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    blocks: Callable[[], Iterable[np.ndarray]]
    attributes: Mapping[str, str] = field(default_factory=dict)
    boundaries: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def distributed(self) -> bool:
        """Do the ranks hold their rows of it?"""
        return len(self.boundaries) > 0

    def entries(self) -> Iterator[np.ndarray]:
        """Entry by entry along the first dimension: of a distributed variable (local rows, width)."""
        for block in self.blocks():
            yield from block

    @property
    def bytes(self) -> int:
        """Of all values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def of_array(dims: tuple[str, ...], values: np.ndarray, attributes: Mapping[str, str] | None = None) -> Dataset:
    """A variable that rank 0 has in memory."""
    return Dataset(dims, values.shape, values.dtype.str, lambda: [values], attributes or {})


def of_slabs(
    dims: tuple[str, ...], slabs: Sequence[np.ndarray], boundaries: np.ndarray, attributes: Mapping[str, str] | None = None
) -> Dataset:
    """A distributed variable: of every entry, at least one, the rows that this rank holds (n, width)."""
    shape = (len(slabs), int(boundaries[-1]), slabs[0].shape[1])
    return Dataset(dims, shape, slabs[0].dtype.str, lambda: (slab[None] for slab in slabs), attributes or {}, boundaries)
