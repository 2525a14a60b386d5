"""Schedules are values: when something is due, as a function of time alone, so that looking never changes a run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_COUNTABLE = 2.0**53  # the next number has no float of its own


class Schedule(Protocol):
    """An ascending sequence of times."""

    def after(self, time: float) -> float:
        """First scheduled time > `time`; infinity if there is none."""


@dataclass(frozen=True)
class LogSpaced:
    """first * 10 ** (k / per_decade), k = 0, 1, 2, ..."""

    first: float
    per_decade: int

    def value(self, k: int) -> float:
        """Scheduled time number `k`."""
        return float(self.first * 10.0 ** (k / self.per_decade))

    def after(self, time: float, age: float = 0.0) -> float:
        """First scheduled time > `time` on a clock that showed `age` when ours showed 0."""
        if time < self.first - age:
            return self.first - age
        k = math.floor(math.log10((time + age) / self.first) * self.per_decade) - 1  # at or below, whatever the rounding
        k = max(0, k)
        while self.value(k) - age <= time:
            k += 1
        return self.value(k) - age

    def up_to(self, time: float) -> np.ndarray:
        """All scheduled times <= `time`, float64 (n,)."""
        return np.array(list(due(self, 0.0, time)))


@dataclass(frozen=True)
class Every:
    """interval * k, k = 1, 2, ..."""

    interval: float

    def after(self, time: float) -> float:
        """First scheduled time > `time`."""
        k = max(1, math.floor(time / self.interval))  # at or below the answer, whatever the rounding
        while k * self.interval <= time:
            k += 1
        return k * self.interval


@dataclass(frozen=True)
class At:
    """The given times, ascending."""

    times: tuple[float, ...]

    def after(self, time: float) -> float:
        """First of the times that is > `time`, or infinity."""
        return next((t for t in self.times if t > time), math.inf)


@dataclass(frozen=True)
class Never:
    """No time at all."""

    def after(self, time: float) -> float:
        """Infinity."""
        return math.inf


def end_of_step(time: float, step: float) -> float:
    """Smallest multiple of `step` that is >= `time`: where an engine with steps can stop. If that cannot be counted: `time`."""
    if time / step > _COUNTABLE:
        return time
    number = math.ceil(time / step)
    while number * step < time:  # the quotient may be rounded either way
        number += 1
    while (number - 1) * step >= time:
        number -= 1
    return number * step


def due(schedule: Schedule, since: float, now: float) -> Iterator[float]:
    """Scheduled times t with since < t <= now."""
    time = schedule.after(since)
    while time <= now:
        yield time
        time = schedule.after(time)
