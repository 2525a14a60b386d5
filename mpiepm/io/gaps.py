"""Records that are lost with segments of the journal, and what else the archive leaves out because of that.

An origin of which any record is lost is left out whole, with its entries of the series and its snapshots. The origins that are
left are numbered anew. A series may have a gap within an origin that is left: what an origin sums up is in its own records.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from mpiepm.core.amounts import number_of
from mpiepm.observe.base import Variable

_ORIGIN_OF = {"entry": "series/origin", "snapshot": "fields/origin"}  # dimension -> variable that names the origin


class Gaps:
    """What is lost.

    Parameters
    ----------
    lost : numbers of the segments
    counts : of each segment: how many records of each variable it has
    newer : likewise, of the records that are in memory
    values : gives all records of a variable that are still there
    """

    def __init__(
        self, variables: Mapping[str, Variable], lost: Sequence[int], counts: Sequence[Mapping[str, int]],
        newer: Mapping[str, int], values: Callable[[str], np.ndarray],
    ) -> None:  # fmt: skip
        self.lost = list(lost)
        self._variables = variables
        self._there: dict[str, np.ndarray] = {}  # numbers of the records that are there
        gone: set[int] = set()
        for name, variable in variables.items():
            numbers = [segment.get(name, 0) for segment in (*counts, newer)]
            every = np.split(np.arange(sum(numbers)), np.cumsum(numbers)[:-1])
            self._there[name] = np.concatenate([part for k, part in enumerate(every) if k not in self.lost])
            if variable.dims[0] == "origin":
                gone.update(int(number) for k in self.lost for number in every[k])
        self.origins = np.array(sorted(gone), np.int64)
        self._origin_of = {
            dim: values(name) for dim, name in _ORIGIN_OF.items() if lost and name in variables and len(self._there[name])
        }

    def keep(self, name: str) -> np.ndarray:
        """For each record of a variable that is there: does it go to the archive?"""
        dim = self._variables[name].dims[0]
        origin = self._there[name] if dim == "origin" else self._origin_of.get(dim, np.full(len(self._there[name]), -1))
        kept: np.ndarray = ~np.isin(origin, self.origins)
        return kept

    def select(self, name: str, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Of all records of a variable that are there those that go to the archive."""
        keep, position = self.keep(name), 0
        for block in blocks:
            chosen = block[keep[position : position + len(block)]]
            position += len(block)
            if name in _ORIGIN_OF.values():
                chosen = chosen - np.searchsorted(self.origins, chosen).astype(chosen.dtype)
            if len(chosen):
                yield chosen

    def __str__(self) -> str:
        segments = number_of(len(self.lost), "segment")
        return f"{number_of(len(self.origins), 'origin')}, and what else was in {segments} of the journal"
