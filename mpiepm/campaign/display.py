"""What `mpiepm campaign run` shows: a line for every run that ends, and on a terminal a table below that renews itself."""

import sys
import time
from collections.abc import Sequence

from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Point
from mpiepm.campaign.local import work
from mpiepm.campaign.tables import table
from mpiepm.core.amounts import in_time
from mpiepm.core.exits import FINISHED, UNFINISHED


def show(todo: Sequence[Point], predicted: dict[str, Cost], cores: int) -> None:
    """Work through the points, the longest first, and tell what happens."""
    order = sorted(todo, key=lambda point: -predicted[point.name].seconds)
    display = Display(order, predicted, cores)
    for point, outcome in work(order, cores):
        if point is None:
            display.renew()
        elif outcome is None:
            display.started(point)
        else:
            display.ended(point, outcome.seconds, finished=outcome.code == FINISHED)
            took = in_time(outcome.seconds)
            if outcome.code == FINISHED:
                said = f"{took} (predicted {in_time(predicted[point.name].seconds)})"
            elif outcome.code == UNFINISHED:
                said = outcome.why or f"interrupted after {took}"
            else:
                said = f"FAILED after {took}: {outcome.why}"
            display.line(f"{point.folder}: {said}; {display.outlook()}")
    display.clear()


class Display:
    """The table of what goes on, on the terminal if there is one."""

    def __init__(self, todo: Sequence[Point], predicted: dict[str, Cost], cores: int) -> None:
        self._predicted, self._cores = predicted, cores
        self._waiting = {point.name for point in todo}
        self._running: dict[str, float] = {}  # since when
        self._done = self._took = self._shown = 0.0  # predicted and real seconds of what is done; when the table was drawn
        self._lines = 0
        self._terminal = sys.stdout.isatty()

    def started(self, point: Point) -> None:
        """It runs."""
        self._waiting.discard(point.name)
        self._running[point.name] = time.monotonic()

    def ended(self, point: Point, seconds: float, *, finished: bool) -> None:
        """It does not run any more."""
        del self._running[point.name]
        if finished:
            self._took += seconds
            self._done += self._predicted[point.name].seconds

    def outlook(self) -> str:
        """How many are left and for how long, by the predictions and how right they were so far."""
        now, factor = time.monotonic(), self._took / self._done if self._done > 0 else 1.0
        left = sum(self._hours(name) * factor for name in self._waiting)
        left += sum(max(self._hours(name) * factor - (now - since) / 3600.0, 0.0) for name, since in self._running.items())
        return f"{len(self._waiting) + len(self._running)} left, about {in_time(3600.0 * left / self._cores)}"

    def _hours(self, name: str) -> float:
        return self._predicted[name].core_hours

    def line(self, text: str) -> None:
        """Something that stays."""
        self.clear()
        print(text, flush=True)
        self.renew()

    def clear(self) -> None:
        """Take the table away."""
        if self._lines:
            print(f"\033[{self._lines}A\033[J", end="", flush=True)
        self._lines = 0

    def renew(self) -> None:
        """Draw the table again, if it is time."""
        if not self._terminal or (time.monotonic() - self._shown < 1.0 and self._lines):
            return
        self.clear()
        self._shown = now = time.monotonic()
        rows = [
            [name, in_time(now - since), in_time(self._predicted[name].seconds)] for name, since in self._running.items()
        ]
        text = table(("running", "for", "predicted"), rows) + f"\n{len(self._waiting)} waiting; {self.outlook()}"
        print(text, flush=True)
        self._lines = text.count("\n") + 1
