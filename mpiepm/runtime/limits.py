"""What ends a run before it is finished: its wall time, the end of its Slurm job, a signal."""

import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

from mpiepm.core.faults import ParameterError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
GRACE = 5.0     # seconds for what comes after the last checkpoint
_CAUTION = 2.0  # a checkpoint, or a step, may take so many times what the last one took
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Seconds in "90s", "30m", "24h", "2d", "HH:MM:SS" or, as Slurm writes it, "D-HH:MM:SS".

    Raises
    ------
    ParameterError : if it is none of these, or not above 0
    """
    seconds = 0.0
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        seconds = float(match[1]) * _SECONDS[match[2]]
    elif match := re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)", text):
        days, hours, minutes, rest = (float(number or 0) for number in match.groups())
        seconds = ((24 * days + hours) * 60 + minutes) * 60 + rest
    if not 0.0 < seconds < math.inf:
        raise ParameterError(f"--walltime {text}: must be above 0, and like 90s, 30m, 24h, 2d, HH:MM:SS or D-HH:MM:SS")
    return seconds


def end_of_job(environment: Mapping[str, str] = os.environ) -> float:
    """When Slurm will end the job that this process belongs to, seconds since 1970; inf outside a job, or if nobody knows."""
    if (job := environment.get("SLURM_JOB_ID")) is None:
        return math.inf
    if end := environment.get("SLURM_JOB_END_TIME"):
        return float(end) if re.fullmatch(r"\d+", end) else math.inf
    command = ["squeue", "--noheader", "--job", job, "--format", "%e"]  # an older Slurm does not put it into the environment
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, env=dict(environment)).stdout
        return datetime.fromisoformat(answer.strip()).timestamp()
    except (OSError, subprocess.SubprocessError, ValueError):  # no such command, no answer, no limit
        return math.inf


class Limits:
    """Until when a run may go on; asked at every heartbeat.

    Attributes
    ----------
    deadline : when everything must be over, seconds since 1970
    signal : the first signal that has arrived, or an interrupt that came later; 0: none
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline
        self.signal = 0

    def reason(self, checkpoint: float, step: float) -> str:
        """Why the run must end now, "" if it need not: a checkpoint took so many seconds last time, and a step."""
        if self.signal:
            return signal.Signals(self.signal).name
        margin = GRACE + _CAUTION * (checkpoint + step)
        return f"wall time, with {margin:.0f} s to spare" if time.time() + margin >= self.deadline else ""

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again = number == self.signal == signal.SIGINT
        self.signal = number if number == signal.SIGINT else self.signal or number  # first: the next may come at any time
        if again:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        elif number == signal.SIGINT:
            os.write(2, b"\nmpiepm: interrupted: a checkpoint comes after this step; interrupt again to end at once\n")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take note of signals instead of dying of them. Handlers run between calls of compiled code and of MPI."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        for number in SIGNALS:
            signal.siginterrupt(number, False)  # so that no write to a file comes back half done
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
