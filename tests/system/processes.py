"""What the tests of whole programs need of processes."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def wait_for(what: Callable[[], _Result], process: "subprocess.Popen[Any] | None" = None, seconds: float = 120) -> _Result:
    """Ask until the answer is true; returns it. It must come before the process ends, and in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process is None or process.poll() is None, "the process has ended before"
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        time.sleep(0.002)
    return found


def ranks_of(process: "subprocess.Popen[Any]") -> list[int]:
    """Process numbers of the ranks that mpirun has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has just ended
        if int(parent) == process.pid:
            found.append(int(stat.parent.name))
    return sorted(found)


def kill(process: "subprocess.Popen[Any]", *, all_ranks: bool) -> None:
    """SIGKILL to mpirun and all ranks, or to the last rank, which may be the only process. Returns when all are gone."""
    everyone = [process.pid, *ranks_of(process)]
    for pid in everyone if all_ranks else everyone[-1:]:
        os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=60) != 0
    for pid in everyone:
        while alive(pid):
            os.sched_yield()


def alive(pid: int) -> bool:
    """Does the process still do anything?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
