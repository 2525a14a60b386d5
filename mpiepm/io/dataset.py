"""A variable that is to be written to an HDF5 file, and where its values come from."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mpiepm.grid.domain import Domain


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
    distributed : do the ranks hold their rows of it?
    items : distributed only: the second dimension is cut evenly, `Domain.share`; 0: it is the lattice's x
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    blocks: Callable[[], Iterable[np.ndarray]]
    attributes: Mapping[str, str] = field(default_factory=dict)
    distributed: bool = False
    items: int = 0

    def entries(self) -> Iterator[np.ndarray]:
        """Entry by entry along the first dimension: of a distributed variable (local rows, width)."""
        for block in self.blocks():
            yield from block

    @property
    def bytes(self) -> int:
        """Of all values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def cut(self, domain: Domain) -> np.ndarray:
        """First row of every rank, and their number."""
        return domain.shares(self.items) if self.items else domain.boundaries


def of_array(dims: tuple[str, ...], values: np.ndarray, attributes: Mapping[str, str] | None = None) -> Dataset:
    """A variable that rank 0 has in memory."""
    return Dataset(dims, values.shape, values.dtype.str, lambda: [values], attributes or {})


def of_slabs(
    dims: tuple[str, ...], slabs: Sequence[np.ndarray], rows: int, attributes: Mapping[str, str] | None = None, items: int = 0
) -> Dataset:
    """A distributed variable of `rows` rows in all: of every entry, at least one, the rows that this rank holds (n, width)."""
    shape = (len(slabs), rows, slabs[0].shape[1])
    return Dataset(
        dims, shape, slabs[0].dtype.str, lambda: (slab[None] for slab in slabs), attributes or {}, distributed=True, items=items
    )
