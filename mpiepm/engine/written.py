"""Has somebody else written to the stress since the engine did? Bounds of rates and waiting events rest on it."""

import numpy as np

from mpiepm.core.faults import RunError
from mpiepm.grid.domain import Domain


class Written:
    """The stress as the engine left it, by the sum of its bits: a look at it costs a fraction of any observer's."""

    def __init__(self) -> None:
        self._sum: int | None = None

    def remember(self, stress: np.ndarray) -> None:
        """Keep what was left: float64 (local rows, Ly)."""
        self._sum = _sum(stress)

    def forget(self) -> None:
        """Anything may be there: a checkpoint has been read."""
        self._sum = None

    def check(self, domain: Domain, stress: np.ndarray) -> None:
        """Is it still the same? Collective.

        Raises
        ------
        RunError : on all ranks, if it is not, on any
        """
        changed = self._sum is not None and self._sum != _sum(stress)
        if domain.sum_counts(int(changed)):
            raise RunError("the stress was changed without the engine being told: use Simulation.change(alter)")


def _sum(stress: np.ndarray) -> int:
    return int(stress.view(np.int64).sum())
