"""What the tests of whole programs need of processes."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any


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
