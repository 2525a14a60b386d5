"""A step lasts a second by the clock, whatever a batch of events costs; the clock is read seldom."""

import itertools

import pytest

from mpiepm.grid.domain import ALONE, Domain
from mpiepm.runtime import wall_clock
from mpiepm.runtime.limits import Limits
from mpiepm.runtime.wall_clock import STEP_SECONDS, WallClock


class Clock:
    """Goes on only when it is told to, and counts how often it is read."""

    def __init__(self) -> None:
        self.now, self.read = 100.0, 0

    def monotonic(self) -> float:
        """Seconds."""
        self.read += 1
        return self.now


@pytest.mark.parametrize(
    ("costs", "most"),
    [
        (itertools.repeat(1e-5), 1.01),
        (itertools.repeat(3e-3), 1.01),
        (itertools.chain([1e-5] * 1000, itertools.repeat(0.02)), 2.5),   # 2000 times slower all at once
        (itertools.chain([1e-5] * 40000, itertools.repeat(1e-3)), 1.1),
        (itertools.repeat(30.0), 31.0),                                  # a single batch
    ],
)
def test_length_of_a_step(costs: "itertools.chain[float]", most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(wall_clock, "time", clock)
    watched = WallClock(Domain((6, 5), ALONE), Limits())
    watched.begin()
    began, clock.read = clock.now, 0
    for asked, cost in enumerate(costs):  # noqa: B007
        clock.now += cost
        if watched.over():
            break
    assert 0.9 * STEP_SECONDS <= clock.now - began <= most * STEP_SECONDS
    assert clock.read < max(100, asked / 50)
