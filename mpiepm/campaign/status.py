"""Where every point stands, as its directory and Slurm tell. What the directory says counts more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mpiepm.campaign import failures
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.queue import Job
from mpiepm.io import archive, checkpoint, lock, rundir

State = Literal["finished", "running", "queued", "unfinished", "failed", "missing"]
STATES: tuple[State, ...] = ("finished", "running", "queued", "unfinished", "failed", "missing")


@dataclass(frozen=True)
class Status:
    """State of a point and, where there is something to say, why."""

    state: State
    why: str = ""


def survey(campaign: Campaign, jobs: Mapping[Path, Job]) -> dict[str, Status]:
    """Status of all points, by their names; `jobs` as `campaign.queue` knows them."""
    return {point.name: of(point, jobs.get(point.folder.resolve())) for point in campaign.points}


def of(point: Point, job: Job | None = None) -> Status:
    """Status of one point, which may have been submitted in a job."""
    folder = point.folder
    if point.conflict:
        return Status("failed", point.conflict)
    if rundir.is_finished(folder, point.params):
        return Status("finished")
    if holder := lock.holder(folder):
        return Status("running", str(holder))
    if job and job.goes and not job.shared:
        return Status("running", f"job {job.identity}")
    if job and job.waits:
        return Status("queued", f"job {job.identity}, {job.reason}")
    if (why := failures.reason(folder)) is not None:
        return Status("failed", why)
    if job and job.goes:
        return Status("queued", f"in job {job.identity}")
    said = [_last_known(job)] if job else []
    if (folder / rundir.LOG).exists():
        newest = next(iter(checkpoint.existing(folder)), None)
        there = f"{archive.NAME} of a shorter run" if (folder / archive.NAME).exists() else "no checkpoint"
        return Status("unfinished", ", ".join([newest.name if newest else there, *said]))
    return Status("missing", ", ".join(said))


def _last_known(job: Job) -> str:
    """Of a job that neither waits nor runs."""
    if not job.state:
        return f"was in jobs/{job.identity}.list"
    if job.reason == "BadConstraints":
        return f"job {job.identity} {job.state}: no node has what it asks for (see `memory` and `options` of the site profile)"
    return f"job {job.identity} {job.state}"


def count(statuses: Iterable[Status]) -> str:
    """So many of each state: "12 finished, 2 failed"."""
    states = [status.state for status in statuses]
    return ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
