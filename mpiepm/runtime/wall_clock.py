"""The wall clock of a run: how long a step lasts, when to save, and when the run must end."""

import math
import time

from mpiepm.grid.domain import Domain
from mpiepm.runtime.limits import Limits

STEP_SECONDS = 1.0  # of wall clock that a step takes at most, unless a single batch of events takes longer
LOOKING = 0.005  # largest share of the time that looks at all sites may take
_SHARE = 0.25    # of what is left of a step, until the clock is read again
_MOST = 64       # batches without a look at the clock
_CLOSE = 0.95    # share of STEP_SECONDS that is as good as all of it


class WallClock:
    """The clocks of a run. They differ from rank to rank, decisions must not: the first rank's counts.

    Attributes
    ----------
    unsaved : seconds since the last checkpoint, as all ranks have agreed; inf as long as there is a deadline and none is
        written yet, for then nobody knows how long one takes
    look : is it time to look at all sites again (`guard`)?
    """

    def __init__(self, domain: Domain, limits: Limits) -> None:
        self.unsaved, self.look = 0.0, True
        self._domain, self._limits = domain, limits
        self._started = time.monotonic()
        self._saved = self._started if limits.deadline == math.inf else -math.inf
        self._checkpoint = 0.0  # seconds that the last one took
        self._looked, self._look = -math.inf, 0.0  # when all sites were last looked at, and seconds that it took
        self._now = self._began = self._started
        self._batches = self._ask = 0

    @property
    def wall_time(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self._started, 3)

    def begin(self) -> None:
        """A step begins."""
        self._began = time.monotonic()
        self._batches, self._ask = 0, 1

    def over(self) -> bool:
        """Has the step taken STEP_SECONDS? To be asked after every batch of events. Collective.

        The clock is read after the first batch, then after a quarter of those that would fit into the time left at the mean
        speed of this step, never after more than there have been or `_MOST`: a step stays short when batches become slower.
        """
        self._batches += 1
        if self._batches < self._ask:
            return False
        passed = time.monotonic() - self._began
        fitting = self._batches * (STEP_SECONDS - passed) / max(passed, 1e-9)
        more = 0 if passed >= _CLOSE * STEP_SECONDS else max(1, min(int(_SHARE * fitting), self._batches, _MOST))
        agreed: int = self._domain.broadcast(more)
        self._ask = self._batches + agreed
        return agreed == 0

    def agree(self) -> str:
        """After a step: why the run must end now, "" if it need not. Collective."""
        self._now = time.monotonic()
        look = self._now - self._looked >= max(STEP_SECONDS / 2, self._look / LOOKING)
        mine = self._now - self._saved, look, self._limits.reason(self._checkpoint, self._now - self._began)
        everyone = self._domain.collect(mine)
        self.unsaved, self.look, _ = everyone[0]
        return next((reason for *_, reason in everyone if reason), "")

    def looked(self) -> None:
        """What happened since `agree` was a look at all sites."""
        self._looked = time.monotonic()
        self._look = self._looked - self._now

    def saved(self) -> None:
        """What happened since `agree` was a checkpoint."""
        self._saved = time.monotonic()
        self._checkpoint = self._saved - self._now
