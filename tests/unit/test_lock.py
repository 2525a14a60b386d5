"""Who may work in a run directory: nobody while somebody lives in it, everybody after he has died."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from processes import CAP, slowness, wait_for

from mpiepm.core.faults import ParameterError, RunError
from mpiepm.io import lock


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `folder`."""
    program = (
        "import pathlib\nfrom mpiepm.io import lock\n"
        f"with lock.held(pathlib.Path({str(folder)!r})):\n    print('held')\n    input()\n"
    )
    process = subprocess.Popen([sys.executable, "-uc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        who = rf"{tmp_path}: in use by process {process.pid} on .*, since 20.*; only one at a time"
        for _ in range(2):
            with pytest.raises(ParameterError, match=who), lock.held(tmp_path):
                pass
        process.communicate("\n")
        assert list(tmp_path.iterdir()) == []
        with lock.held(tmp_path):
            pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / lock.NAME).exists()
        with lock.held(tmp_path) as own:
            assert own is not None
            own.check()
    assert list(tmp_path.iterdir()) == []


def test_the_same_process_may_ask_again(tmp_path: Path) -> None:
    with lock.held(tmp_path) as first:
        with lock.held(tmp_path / "." ) as second:
            assert second is first
        assert (tmp_path / lock.NAME).exists()
    assert not (tmp_path / lock.NAME).exists()


@pytest.fixture
def no_kernel_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has none."""
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(lock.errno.ENOTSUP, "not supported")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    monkeypatch.setattr(lock, "_SETTLE", 0.05)


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_kernel_locks_processes_are_looked_for(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(ParameterError, match=f"process {process.pid} on"), lock.held(tmp_path):
            pass
        process.kill()  # and not waited for: a zombie is dead
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with lock.held(tmp_path):
            pass
        with lock.held(tmp_path):
            record = json.loads((tmp_path / lock.NAME).read_text())
    record["started"] -= 1  # another process that had our number
    (tmp_path / lock.NAME).write_text(json.dumps(record))
    with lock.held(tmp_path):
        pass


def elsewhere(folder: Path) -> None:
    """Leave the lock of a process on another machine."""
    other = replace(lock.Holder.this_process(), host="elsewhere", machine="another boot")
    (folder / lock.NAME).write_text(json.dumps(asdict(other)))


def test_a_process_on_another_machine_is_alive_while_it_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 1.5 * slowness())
    monkeypatch.setattr(lock, "_SETTLE", 0.05)
    elsewhere(tmp_path)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.1):
            os.utime(tmp_path / lock.NAME)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ParameterError, match=r"in use by process .* on elsewhere"), lock.held(tmp_path):
            pass
    finally:
        over.set()
        thread.join()
    with lock.held(tmp_path):
        pass


def test_beats_reach_the_file_and_a_takeover_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with lock.held(tmp_path) as own:
        assert own is not None
        os.utime(tmp_path / lock.NAME, (0, 0))
        wait_for(lambda: (tmp_path / lock.NAME).stat().st_mtime > 0)
        own.check()
        elsewhere(tmp_path)
        wait_for(lambda: own._lost != "")
        with pytest.raises(RunError, match=r"taken over by (process .* on elsewhere|somebody)"):
            own.check()
    assert (tmp_path / lock.NAME).exists()  # it is the other's


@pytest.mark.parametrize("content", ["my notes", '{"host": "x"}', "[]", "7"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / lock.NAME).write_text(content)
    with pytest.raises(ParameterError, match="is in the way, and no lock of mpiepm"), lock.held(tmp_path):
        pass
    assert (tmp_path / lock.NAME).read_text() == content


def _try(folder: Path, barrier: "multiprocessing.synchronize.Barrier", results: "multiprocessing.Queue[bool]") -> None:
    barrier.wait()
    try:
        with lock.held(folder):
            results.put(True)
            barrier.wait()
    except ParameterError:
        results.put(False)
        barrier.wait()


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_try, args=(tmp_path, barrier, results)) for _ in range(8)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=CAP) for _ in processes) == [False] * 7 + [True]
    for process in processes:
        process.join()
    assert list(tmp_path.iterdir()) == []
