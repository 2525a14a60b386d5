"""What the tests of whole programs need of processes, and how long they wait.

No test depends on the speed of the machine. A test waits for a condition, for at most `CAP`. A time limit that the program
under test is given is a multiple of `slowness()`.
"""

import functools
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from mpiepm.cli import main

CAP = 1200.0  # seconds; nothing takes so long on the slowest machine, unless it hangs
_Result = TypeVar("_Result")


@functools.cache
def slowness() -> float:
    """How many times longer a small program takes here and now than on two quiet cores; at least 1."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "mpiepm", "info"], check=True, capture_output=True, timeout=CAP)
    return max(1.0, time.monotonic() - began)  # there it takes a second


def call(environment: dict[str, str], *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Do in this process what `mpiepm` with these arguments does in one of its own."""
    words, output, errors = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    with patch.dict(os.environ, environment, clear=True), redirect_stdout(output), redirect_stderr(errors):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())


def wait_for(what: Callable[[], _Result], process: "subprocess.Popen[Any] | None" = None) -> _Result:
    """Ask until the answer is true; returns it. It must come before the process ends."""
    deadline = time.monotonic() + CAP
    while not (found := what()):
        assert process is None or process.poll() is None, "the process has ended before"
        assert time.monotonic() < deadline, f"waited {CAP:g} s in vain"
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
    assert process.wait(timeout=CAP) != 0
    for pid in everyone:
        while alive(pid):
            os.sched_yield()


def alive(pid: int) -> bool:
    """Does the process still do anything?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
