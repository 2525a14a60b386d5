"""Where every point stands, as its directory tells."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mpiepm.campaign import failures
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.io import checkpoint, rundir

State = Literal["finished", "running", "queued", "unfinished", "failed", "missing"]
STATES: tuple[State, ...] = ("finished", "running", "queued", "unfinished", "failed", "missing")


@dataclass(frozen=True)
class Status:
    """State of a point and, where there is something to say, why."""

    state: State
    why: str = ""


def survey(campaign: Campaign) -> dict[str, Status]:
    """Status of all points, by their names."""
    return {point.name: of(point) for point in campaign.points}


def of(point: Point) -> Status:
    """Status of one point."""
    if rundir.is_finished(point.folder):
        return Status("finished")
    if (why := failures.reason(point.folder)) is not None:
        return Status("failed", why)
    if (point.folder / rundir.LOG).exists():
        newest = next(iter(checkpoint.existing(point.folder)), None)
        return Status("unfinished", newest.name if newest else "no checkpoint")
    return Status("missing")


def count(statuses: Iterable[Status]) -> str:
    """So many of each state: "12 finished, 2 failed"."""
    states = [status.state for status in statuses]
    return ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
