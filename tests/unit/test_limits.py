"""Wall times as people and Slurm write them, the end of a Slurm job, signals."""

import math
import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from mpiepm.core.faults import ParameterError
from mpiepm.runtime.limits import Limits, duration, end_of_job


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("30m", 1800), ("24h", 86400), ("2d", 172800), ("1.5h", 5400), ("00:30:00", 1800), ("36:00:01", 129601),
        ("1-00:00:00", 86400), ("2-03:04:05", 183845),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "h", "-1h", "0s", "00:00:00", "1h30m", "12:60:00", "1:2", "inf", "1e3s", "1-2", "24 h"]
)
def test_wrong_durations_are_named(text: str) -> None:
    with pytest.raises(ParameterError, match=f"--walltime {text}: must be above 0, and like 90s, 30m"):
        duration(text)


def test_end_of_a_slurm_job(tmp_path: Path) -> None:
    assert end_of_job({}) == math.inf
    assert end_of_job({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1763722800"}) == 1763722800
    assert end_of_job({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "soon"}) == math.inf
    assert end_of_job({"SLURM_JOB_ID": "7", "PATH": str(tmp_path)}) == math.inf  # no squeue there
    then = datetime(2031, 1, 2, 3, 4, 5).timestamp()
    for answer, expected in (("2031-01-02T03:04:05", then), ("N/A", math.inf), ("Unknown", math.inf), ("", math.inf)):
        squeue = tmp_path / "squeue"
        squeue.write_text(f"#!/bin/sh\n[ \"$*\" = '--noheader --job 7 --format %e' ] && echo {answer}\n")
        squeue.chmod(0o755)
        assert end_of_job({"SLURM_JOB_ID": "7", "PATH": f"{tmp_path}:{os.defpath}"}) == expected


def test_time_is_up_with_a_margin_for_what_is_to_come() -> None:
    assert Limits().reason(1e9, 1e9) == ""
    limits = Limits(time.time() + 60)
    assert limits.reason(checkpoint=1, step=1) == ""
    assert limits.reason(checkpoint=26, step=2) == "wall time, with 61 s to spare"
    assert Limits(time.time() - 1).reason(0, 0) != ""


def test_signals_are_noted_and_handlers_given_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    limits = Limits()
    with limits.listening():
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert limits.reason(0, 0) == "SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) == before
