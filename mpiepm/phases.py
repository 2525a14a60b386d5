"""The phases of a run: equilibration, one origin of time after the other, and the ends of the last ones."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mpiepm.observe.base import EQUILIBRATION


@dataclass
class Phases:
    """Where the run stands: equilibrating (origin -1), after so many origins, or waiting for the last ones to end.

    Attributes
    ----------
    history : times and events at the stops of the equilibration, as long as it lasts
    duration : of an origin, sweeps, where the equilibration decides on it
    """

    origin: int = EQUILIBRATION
    begun: bool = False
    checkpoints: int = 0
    duration: float = 0.0
    history: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    def yield_time(self, sites: int) -> float:
        """1 / Gamma in the second half of the equilibration, by events, sweeps."""
        end, events = self.history[-1]
        since, half = next(stop for stop in self.history if 2 * stop[1] >= events)
        if since == end:
            since, half = 0.0, 0
        return (end - since) * sites / max(events - half, 1)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars for a checkpoint."""
        return asdict(self), {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        for name, value in scalars.items():
            setattr(self, name, value)
        self.history = [(time, events) for time, events in self.history]  # JSON knows no tuples
