"""Origins that overlap: a new one begins while older ones are still open.

The run goes from origin to origin; with an overlap of k an origin stays open for k such phases, and lies in slot
n mod k of the arrays that an observer keeps for it. Time starts anew with every origin, so an older one knows its age.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mpiepm.core.schedule import LogSpaced


class OpenOrigins:
    """Slots and ages of the open origins; as a schedule, the times at which one of them reaches a lag of `lags`."""

    def __init__(self, overlap: int, lags: LogSpaced) -> None:
        self.overlap, self.lags = overlap, lags
        self._open: list[tuple[int, float, int]] = []  # slot, age when the present phase began, phases ended; oldest first

    def begin_phase(self, origin: int) -> int | None:
        """Slot of the origin that begins with the phase, if one does."""
        if origin < 0:
            return None
        self._open.append((origin % self.overlap, 0.0, 0))
        return origin % self.overlap

    def newest_first(self) -> Iterator[tuple[int, float]]:
        """Slot of every open origin and its age when the present phase began."""
        return ((slot, age) for slot, age, _ in reversed(self._open))

    def end_phase(self, time: float) -> tuple[int, float] | None:
        """The phase ends after `time` sweeps: slot and final age of the origin that ends with it, if one does."""
        self._open = [(slot, age + time, phases + 1) for slot, age, phases in self._open]
        if self._open and self._open[0][2] == self.overlap:
            slot, age, _ = self._open.pop(0)
            return slot, age
        return None

    def after(self, time: float) -> float:
        """First time > `time` in this phase at which an open origin reaches a lag."""
        return min((self.lags.after(time, age) for _, age, _ in self._open), default=np.inf)

    def save(self) -> dict[str, Any]:
        """Scalars for a checkpoint."""
        return {"open": self._open}

    def restore(self, scalars: dict[str, Any]) -> None:
        """Undo `save`."""
        self._open = [(slot, age, phases) for slot, age, phases in scalars["open"]]
