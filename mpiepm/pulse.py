"""When a run looks at the clock, saves, and must end."""

import math
import time

from mpiepm.core.limits import Limits
from mpiepm.grid.domain import Domain

HEARTBEAT = 1.0  # seconds of wall clock between looks at the clock, roughly
LOOKING = 0.005  # largest share of the time that looks at all sites may take


class Pulse:
    """The clocks of a run. They differ from rank to rank, decisions must not: the first rank's counts.

    Attributes
    ----------
    pace : sweeps that take about one heartbeat, at first a guess that is too short
    unsaved : seconds since the last checkpoint, as all ranks have agreed; inf as long as there is a deadline and none is
        written yet, for then nobody knows how long one takes
    look : is it time to look at all sites again (`guard`)?
    """

    def __init__(self, limits: Limits) -> None:
        self.pace, self.unsaved, self.look = 0.01, 0.0, True
        self._limits = limits
        self._started = time.monotonic()
        self._saved = self._started if limits.deadline == math.inf else -math.inf
        self._checkpoint = 0.0  # seconds that the last one took
        self._looked, self._look = -math.inf, 0.0  # when all sites were last looked at, and seconds that it took
        self._now = self._started

    @property
    def wall_time(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self._started, 3)

    def agree(self, domain: Domain, advanced: float, took: float) -> str:
        """After a step: the new pace, and why the run must end now, "" if it need not. Collective."""
        if advanced > 0:
            self.pace = min(advanced * HEARTBEAT / max(took, 1e-6), 10 * self.pace)
        self._now = time.monotonic()
        look = self._now - self._looked >= max(HEARTBEAT / 2, self._look / LOOKING)
        mine = self.pace, self._now - self._saved, look, self._limits.reason(self._checkpoint, took)
        everyone = domain.comm.allgather(mine)
        self.pace, self.unsaved, self.look, _ = everyone[0]
        return next((reason for *_, reason in everyone if reason), "")

    def looked(self) -> None:
        """What happened since `agree` was a look at all sites."""
        self._looked = time.monotonic()
        self._look = self._looked - self._now

    def saved(self) -> None:
        """What happened since `agree` was a checkpoint."""
        self._saved = time.monotonic()
        self._checkpoint = self._saved - self._now
