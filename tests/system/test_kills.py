"""Killed at any moment, in the middle of files too, a run goes on to the archive of an undisturbed one.

Most kills hit a forked copy of this process, in which everything is compiled: at random times, or just before one of the calls
that open, rename or remove a file (Python announces them to an audit hook; the program knows of nothing). Checkpoints are
written all the time. Every kill is followed by others, up to the end of a chain; then the run is completed and compared.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from archives import contents
from mpi4py import MPI
from processes import CAP, kill

from mpiepm import loop
from mpiepm.engine import auto
from mpiepm.engine.layout import slabs
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters, parse

CHAIN = 3  # kills in a row
EPMQ = """
[model]
temperature = 0.1
[run]
equilibrate = { time = 0.2 }
origins = 2
overlap = 2
origin_duration = 2.0
[output]
lags = { first = 0.5, per_decade = 2 }
correlations = {}
clusters = {}
waiting_times = true
event_counts = true
snapshots = [0.6]
checkpoint_minutes = 1e-9
"""
FERRERO = """
[model]
name = "ferrero"
temperature = 0.2
[run]
equilibrate = { time = 0.5 }
duration = 5
[tracers]
number = 50
interval = 1.5
[output]
snapshots = [1.0]
event_counts = true
checkpoint_minutes = 1e-9
"""
RUNS = {
    "sweep": (EPMQ, ["lattice.size=[17, 22]", "engine.name=sweep"]),
    "event": (EPMQ, ["lattice.size=[17, 22]", "engine.name=event"]),
    "split": (EPMQ, ["lattice.size=[22, 17]", "engine={name='split', radius=5, strip=10, window=1}"]),
    "extremal": (EPMQ, ["lattice.size=[17, 22]", "engine={name='event', dynamics='extremal'}", "model.temperature=0",
                        "run.origin_duration=100", "run.equilibrate.time=4", "output.lags.first=25",
                        "output.snapshots=[30]", "output.avalanches={gaps=[], thresholds=[0.2]}"]),
    "auto": (EPMQ, ["lattice.size=[36, 35]", "engine.name=auto"]),
    "ferrero": (FERRERO, ["lattice.size=[17, 22]"]),
}  # fmt: skip


def run(folder: Path, params: Parameters) -> None:
    """Begin or continue, as ``mpiepm run PARAMS --out FOLDER --resume`` does."""
    with rundir.occupied(folder):
        _, resume = rundir.prepare(folder, params, resume=True, overwrite=False)
        if not rundir.is_finished(folder):
            loop.run(slabs(params, MPI.COMM_SELF), params, folder, resume=resume, quiet=True)
        rundir.tidy(folder)


class FileCalls:
    """Counts the calls that change or open something in a folder, and kills the process at one of them."""

    def __init__(self, folder: Path, fatal: int = 0) -> None:
        self.count, self._folder, self._fatal = 0, str(folder), fatal
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and str(arguments[0]).startswith(self._folder):
            self.count += 1
            if self.count == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Whole:
    """An undisturbed run: its datasets, how long it took, how many calls it made."""

    datasets: dict[str, bytes]
    seconds: float
    calls: int


def forked(folder: Path, params: Parameters, fatal: int = 0, count: Path | None = None) -> int:
    """Start the run in a copy of this process, which dies at file call number `fatal`; its process number."""
    pid = os.fork()
    if not pid:
        _in_the_copy(folder, params, fatal, count)
    return pid


def _in_the_copy(folder: Path, params: Parameters, fatal: int, count: Path | None) -> NoReturn:
    code = 1
    try:
        log = os.open(folder.with_suffix(".stderr"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 2)
        calls = FileCalls(folder, fatal)
        run(folder, params)
        if count:
            count.write_text(str(calls.count))
        code = 0
    except BaseException as error:
        os.write(2, repr(error).encode())
    finally:
        os._exit(code)


def whole(folder: Path, params: Parameters) -> Whole:
    """Run once here, which compiles everything, and once in a copy, to measure it."""
    run(folder / "first", params)
    began = time.monotonic()
    _, status = os.waitpid(forked(folder / "second", params, count=folder / "calls"), 0)
    assert status == 0, (folder / "second.stderr").read_text()
    seconds = time.monotonic() - began
    expected = contents(folder / "first" / "archive.h5")
    assert contents(folder / "second" / "archive.h5") == expected
    return Whole(expected, seconds, int((folder / "calls").read_text()))


def kill_once(folder: Path, params: Parameters, undisturbed: Whole, choose: random.Random) -> bool:
    """Continue the run and kill it somewhere; was it still going on then?"""
    if choose.random() < 0.4:
        calls = undisturbed.calls
        late = choose.random() < 0.4  # around the end, where the archive gets its name and the rest is removed
        fatal = choose.randint(max(1, calls - 20), calls) if late else choose.randint(1, calls // 2)
        pid = forked(folder, params, fatal)
    else:
        pid = forked(folder, params)
        time.sleep(choose.uniform(0.0, 0.7 * undisturbed.seconds))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert status == 0, folder.with_suffix(".stderr").read_text()
    return False


def chain(folder: Path, params: Parameters, undisturbed: Whole, choose: random.Random) -> int:
    """Kill a run up to CHAIN times, complete it and compare: the number of kills that it went through."""
    kills = 0
    for _ in range(CHAIN):
        kills += kill_once(folder, params, undisturbed, choose)
        if rundir.is_finished(folder):
            break
    _, status = os.waitpid(forked(folder, params), 0)
    assert status == 0, folder.with_suffix(".stderr").read_text()
    assert contents(folder / "archive.h5") == undisturbed.datasets
    assert sorted(path.name for path in folder.iterdir()) == ["archive.h5", "params.toml", "run.log", "state.h5"]
    return kills


def many_kills(name: str, times: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill runs of RUNS[name] so many times; say what became of them."""
    monkeypatch.setattr(auto, "_TRIAL", 0.01)
    monkeypatch.setattr(auto, "_PATIENCE", 1e9)  # so that clocks have no say in what is chosen
    text, overrides = RUNS[name]
    params = parse(text, overrides)
    undisturbed = whole(folder, params)
    choose, kills, chains, began = random.Random(times), 0, 0, time.monotonic()
    while kills < times:
        chains += 1
        kills += chain(folder / f"chain-{chains}", params, undisturbed, choose)
    took = time.monotonic() - began
    print(f"{name}: killed {kills} times in {chains} runs, survived {kills}, data lost: none; {took:.0f} s")


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder in memory where there is such a thing: to the killed, a sync is only time."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", RUNS)
def test_killed_at_any_moment(name: str, quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many_kills(name, CHAIN, quick_path, monkeypatch)


@pytest.mark.statistics
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", RUNS)
def test_killed_200_times(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many_kills(name, 200, tmp_path, monkeypatch)


@pytest.mark.statistics
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [name for name in RUNS if name != "auto"])  # what that chooses is a matter of clocks
def test_ranks_killed_40_times(name: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """One rank or all, under mpirun; every start is on another number of ranks."""
    text, overrides = RUNS[name]
    undisturbed = whole(tmp_path, parse(text, overrides))
    (tmp_path / "params.toml").write_text(parse(text, overrides).to_toml())
    choose, kills, runs = random.Random(name), 0, 0

    def start(folder: Path, ranks: int) -> "subprocess.Popen[str]":
        command = ["mpirun", "-n", str(ranks), sys.executable, "-m", "mpiepm", "run", str(tmp_path / "params.toml")]
        command += ["--out", str(folder), "--resume", "--quiet"]
        return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True, env=environment)

    began = time.monotonic()
    assert start(tmp_path / "timed", 2).wait(CAP) == 0
    seconds = time.monotonic() - began
    while kills < 40:
        runs += 1
        folder = tmp_path / f"run-{runs}"
        while not rundir.is_finished(folder):
            ranks = choose.randint(1, 3)
            process = start(folder, ranks)
            time.sleep(choose.uniform(0.3, 1.2) * seconds)
            if process.poll() is None:
                kill(process, all_ranks=choose.random() < 0.5)
                kills += 1
            errors = process.communicate(timeout=CAP)[1]
            assert "Traceback" not in errors, errors
        assert start(folder, 2).wait(CAP) == 0
        assert contents(folder / "archive.h5") == undisturbed.datasets
    print(f"{name}: ranks killed {kills} times in {runs} runs, survived {kills}, data lost: none")
