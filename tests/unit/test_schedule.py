"""Schedules on a clock: every time once, in order, however one gets there."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpiepm.core.schedule import At, LogSpaced, Never, due, end_of_step


@given(st.floats(1e-6, 1e6), st.integers(1, 200), st.floats(1e-7, 1e14))
def test_log_spaced_after_is_the_next_one(first: float, per_decade: int, time: float) -> None:
    schedule = LogSpaced(first, per_decade)
    following = schedule.after(time)
    assert following > time
    k = round(math.log10(following / first) * per_decade)
    assert following == schedule.value(k)
    assert k == 0 or schedule.value(k - 1) <= time


@pytest.mark.parametrize("schedule", [LogSpaced(0.1, 7), At((0.5, 2.0, 3.0)), Never()])
def test_due_does_not_depend_on_the_stops(schedule: LogSpaced | At | Never) -> None:
    at_once = list(due(schedule, 0.0, 50.0))
    stops = [0.0, 0.1, 0.3, 0.5, 2.0, 7.7, 50.0]
    in_steps = [t for a, b in itertools.pairwise(stops) for t in due(schedule, a, b)]
    assert in_steps == at_once
    assert at_once == sorted(set(at_once))
    assert all(0.0 < t <= 50.0 for t in at_once)


def test_log_spaced_closed_form() -> None:
    assert list(due(LogSpaced(0.1, 2), 0.0, 1.01)) == pytest.approx([0.1, 10**-0.5, 1.0])


@given(st.floats(0, 1e9), st.floats(1e-3, 10))
def test_end_of_step_is_the_first_multiple_at_or_after(time: float, step: float) -> None:
    end = end_of_step(time, step)
    assert end >= time
    assert end == round(end / step) * step
    assert (round(end / step) - 1) * step < time
    assert end_of_step(end, step) == end


@pytest.mark.parametrize("time", [1e16, 1e60, 1e308, math.inf])
def test_end_of_step_where_steps_cannot_be_counted(time: float) -> None:
    assert end_of_step(time, 0.05) == time
    assert end_of_step(2.0**52 - 0.5, 1.0) == 2.0**52
