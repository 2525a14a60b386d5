"""Bins on a logarithmic scale, for quantities that range over many decades."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class LogBins:
    """Bin k holds edges[k] <= value < edges[k + 1], edges = 10 ** (first + k / per_decade) up to 10 ** last.

    What lies outside counts in the first and last bin. With `whole`, edges are rounded up to whole numbers, each of them once.
    """

    first: int
    last: int
    per_decade: int
    whole: bool = False

    @property
    def number(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    @cached_property
    def edges(self) -> np.ndarray:
        """float64 (number + 1,)."""
        result: np.ndarray = 10.0 ** (np.arange((self.last - self.first) * self.per_decade + 1) / self.per_decade + self.first)
        return np.unique(np.ceil(result - 1e-6)) if self.whole else result

    def index(self, values: np.ndarray) -> np.ndarray:
        """Bin of every value, int64, same shape as `values`."""
        return np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, self.number - 1)

    def histogram(self, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Number of values in each bin, int64, or the sum of their weights, float64."""
        return np.bincount(self.index(values), weights, self.number)
