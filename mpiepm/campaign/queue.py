"""What Slurm knows of a campaign: which jobs it was submitted as, and where they stand.

Every submission leaves a list in OUT/jobs: NUMBER.list, a run directory in each line. The job has the name of the list, so
nothing is lost if `submit` is killed between the two. An array has a job for each line, a packed job all of them.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mpiepm.campaign.grid import Campaign
from mpiepm.core.faults import ParameterError
from mpiepm.io import rundir

TIMEOUT = 120.0  # seconds for an answer of Slurm
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "STOPPED"}
_GOING = {"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "RESIZING"}


class NoAnswerError(ParameterError):
    """Slurm was asked and said nothing."""


@dataclass(frozen=True)
class Job:
    """A job of Slurm that a run was submitted in.

    Attributes
    ----------
    identity : "12" or "12_3", or the number of the list if Slurm does not know the job any more
    state : as squeue says, "" if it does not know
    reason : why it waits;  shared : with other runs
    """

    identity: str
    state: str
    reason: str
    shared: bool

    @property
    def waits(self) -> bool:
        """Has it still to start?"""
        return self.state in _WAITING

    @property
    def goes(self) -> bool:
        """Does it run?"""
        return self.state in _GOING


def folder(campaign: Campaign) -> Path:
    """Of lists and outputs of jobs."""
    return campaign.out / "jobs"


@contextmanager
def alone(campaign: Campaign) -> Iterator[None]:
    """Let nobody else submit this campaign meanwhile, who would see the same points as missing.

    Raises
    ------
    ParameterError : if somebody does
    """
    with rundir.occupied(folder(campaign)):
        yield


def lists(campaign: Campaign) -> list[Path]:
    """Of all submissions, oldest first."""
    return sorted(folder(campaign).glob("[0-9]*.list"))


def job_name(campaign: Campaign, number: str) -> str:
    """Of the submission with that number: no other campaign has it."""
    digest = hashlib.sha256(str(campaign.out.resolve()).encode()).hexdigest()[:6]
    return f"{campaign.name}-{digest}-{number}"


def newest(campaign: Campaign) -> int:
    """The highest number that a submission ever had: there is a list, the output of a job, or a job of that name.

    Raises
    ------
    NoAnswerError : if Slurm does not answer
    """
    files = [path.name for path in folder(campaign).glob("[0-9]*")]
    prefix = job_name(campaign, "")
    jobs = [name.removeprefix(prefix) for name, *_ in _ask() if name.startswith(prefix)]
    found = [re.match(r"\d+", name) for name in files + jobs]
    return max((int(match[0]) for match in found if match), default=0)


def accepted(name: str) -> str | None:
    """The number of the job of that name, None if Slurm knows none.

    Raises
    ------
    NoAnswerError : if Slurm does not answer
    """
    return next((identity.partition("_")[0] for known, _, identity, *_ in _ask() if known == name), None)


def call(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    """Ask Slurm something, or tell it.

    Raises
    ------
    NoAnswerError : if there is none, or it does not answer
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment, check=False)
    except FileNotFoundError:
        raise NoAnswerError(f"{command[0]}: there is no Slurm on this machine") from None
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"Slurm does not answer: {command[0]} took more than {TIMEOUT:g} s") from None
    except OSError as error:
        raise NoAnswerError(f"{command[0]}: {error.strerror}") from None


def jobs(campaign: Campaign) -> dict[Path, Job]:
    """The job that each run was submitted in last, by resolved run directory.

    Raises
    ------
    NoAnswerError : if there are submissions, but Slurm does not answer
    """
    if not lists(campaign):
        return {}
    return _assign(campaign, {(name, task): (identity, state, reason) for name, task, identity, state, reason in _ask()})


def submitted(campaign: Campaign) -> dict[Path, Job]:
    """As `jobs`, without asking Slurm: no job has a state."""
    return _assign(campaign, {})


def _assign(campaign: Campaign, known: dict[tuple[str, int | None], tuple[str, str, str]]) -> dict[Path, Job]:
    found: dict[Path, Job] = {}
    for path in lists(campaign):
        number, shared = path.stem.removesuffix("-packed"), path.stem.endswith("-packed")
        name = job_name(campaign, number)
        for line, run in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            job = Job(*known.get((name, None if shared else line), (number, "", "")), shared)
            before = found.get(Path(run))
            if before is None or not (before.waits or before.goes):
                found[Path(run)] = job
    return found


def _ask() -> Iterator[tuple[str, int | None, str, str, str]]:
    """Name, task of the array, identity, state and reason of all jobs of this user that Slurm remembers."""
    command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%j|%T|%r"]
    answer = call(command)
    if answer.returncode:
        told = answer.stderr.strip().splitlines()
        raise NoAnswerError(f"Slurm does not answer: {told[-1] if told else f'squeue ended with code {answer.returncode}'}")
    for line in answer.stdout.splitlines():
        if match := re.fullmatch(r"(\d+)(?:_(\d+))?\|([^|]*)\|([^|]*)\|(.*)", line.strip()):
            job, task, name, state, reason = match.groups()
            yield name, int(task) if task else None, f"{job}_{task}" if task else job, state, reason
