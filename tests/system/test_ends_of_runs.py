"""Runs that are asked to end, or that meet another one: exit codes, and nothing lost."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from archives import contents
from mpi4py import MPI
from processes import CAP, ranks_of, slowness, wait_for

from mpiepm.io import checkpoint

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PARAMS = """
[lattice]
size = [32, 40]
[model]
temperature = 0.1
[engine]
name = "event"
[run]
equilibrate = { events_per_site = 1 }
origins = 40
"""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.toml"
    path.write_text(PARAMS)
    return path


def start(
    environment: dict[str, str], ranks: int, params: Path, folder: Path, *more: str, program: Sequence[str] = ("-m", "mpiepm")
) -> "subprocess.Popen[str]":
    """Begin or continue a run; returns when its loop has begun."""
    log = folder / "run.log"
    before = log.read_text().count("start:") if log.exists() else 0
    command = [sys.executable, *program, "run", str(params), "--out", str(folder), "--resume", *more]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for(lambda: log.exists() and log.read_text().count("start:") > before, process)
    return process


@pytest.mark.mpirun
def test_signals(environment: dict[str, str], mpiepm: Run, params: Path, tmp_path: Path) -> None:
    """To mpirun, to one rank, to a run without mpirun: it ends before its end, 75, and the next start goes on from there."""
    folder = tmp_path / "run"
    for ranks, number in ((2, signal.SIGUSR1), (2, signal.SIGTERM), (1, signal.SIGINT)):
        process = start(environment, ranks, params, folder)
        to_one_rank = ranks > 1 and number == signal.SIGTERM
        subprocess.run(["kill", f"-{number}", str(ranks_of(process)[-1] if to_one_rank else process.pid)], check=True)
        _, errors = process.communicate(timeout=CAP)
        assert process.returncode == 75, errors
        assert f"mpiepm: unfinished, checkpoint written: {number.name}; continue with --resume" in errors
        assert not (folder / "archive.h5").exists()
        assert not (folder / "run.lock").exists()
    done = mpiepm(1, "run", "--out", folder, "--resume")
    assert done.returncode == 0, done.stderr
    whole = mpiepm(1, "run", params, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert contents(folder / "archive.h5") == contents(tmp_path / "whole" / "archive.h5")


@pytest.mark.mpirun
@pytest.mark.skipif("Open MPI v4" not in MPI.Get_library_version(), reason="other MPI libraries cannot be told to wait")
def test_an_interrupt_of_mpirun(environment: dict[str, str], params: Path, tmp_path: Path) -> None:
    """So many seconds after an interrupt Open MPI 4 sends SIGTERM to the ranks, and SIGKILL when as many have passed again."""
    folder, endless = tmp_path / "run", ["--set", "lattice.size=[16, 16]", "--set", "run.equilibrate={events_per_site=1e12}"]
    seconds = {"OMPI_MCA_odls_base_sigkill_timeout": str(math.ceil(4 * slowness()))}
    process = start(environment | seconds, 2, params, folder, *endless)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=CAP)
    assert process.returncode not in (0, 75)  # whatever the ranks say
    assert "unfinished: SIGTERM" in (folder / "run.log").read_text()
    again = start(environment, 1, params, folder, *endless)
    again.send_signal(signal.SIGUSR1)
    _, errors = again.communicate(timeout=CAP)
    assert again.returncode == 75, errors
    assert not (folder / "run.log").read_text().split("start:")[-1].splitlines()[0].endswith(" 0 events so far")


@pytest.mark.mpirun
@pytest.mark.parametrize(
    "quiet",
    [
        ["model.temperature=0.003", "model.initial_stress_std=0", "engine.name=sweep", "run.equilibrate={time=1e12}"],
        ["model={name='ferrero', temperature=0.003}", "engine={}",
         "run={equilibrate={time=1e9}, duration=1e9}", "output.interval=1e6"],
    ],
)
def test_a_signal_where_nothing_happens(environment: dict[str, str], params: Path, tmp_path: Path, quiet: list[str]) -> None:
    """All sites are far from their threshold: the stretch to the next event is longer than anybody waits."""
    overrides = [argument for key in ["lattice.size=[9, 14]", *quiet] for argument in ("--set", key)]
    process = start(environment, 2, params, tmp_path / "run", *overrides)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "0 events so far" in (tmp_path / "run" / "run.log").read_text().splitlines()[-1]


def test_a_second_interrupt_ends_at_once(environment: dict[str, str], params: Path, tmp_path: Path) -> None:
    replaced = "recorded.RecordedRun._checkpoint = lambda *given: time.sleep(300)"
    slow = f"import time; from mpiepm import cli, recorded; {replaced}; cli.main()"
    process = start(environment, 1, params, tmp_path / "run", program=("-c", slow))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "interrupt again" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=CAP) == -signal.SIGINT


@pytest.mark.parametrize("slurm", [False, True])
def test_walltime(environment: dict[str, str], mpiepm: Run, params: Path, tmp_path: Path, slurm: bool) -> None:
    """Starts are not free, and count; yet every one gets on by a step, however short its time is."""
    folder, times = tmp_path / "run", []
    command = [sys.executable, "-m", "mpiepm", "run", str(params), "--out", str(folder), "--resume"]
    command += ["--set", "lattice.size=[256, 256]"]
    for _ in range(2):
        limit = [] if slurm else ["--walltime", "5s"]
        job = {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 5)} if slurm else {}
        done = subprocess.run([*command, *limit], capture_output=True, text=True, timeout=CAP, env=environment | job)
        assert done.returncode == 75, done.stderr
        assert "unfinished, checkpoint written: wall time, with " in done.stderr
        times.append(checkpoint.read_parts(checkpoint.existing(folder)[0])["state"]["time"])
    assert 0 < times[0] < times[1]


@pytest.mark.mpirun
def test_a_wrong_walltime_touches_nothing(mpiepm: Run, params: Path, tmp_path: Path) -> None:
    wrong = mpiepm(2, "run", params, "--out", tmp_path / "run", "--walltime", "24")
    assert wrong.returncode == 2
    assert "mpiepm: --walltime 24: must be above 0, and like 90s, 30m, 24h, 2d" in wrong.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.mpirun
def test_a_second_run_is_turned_away(environment: dict[str, str], mpiepm: Run, params: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = start(environment, 2, params, folder, "--set", "run.origins=100_000")
    for mode in ("--resume", "--overwrite"):
        second = mpiepm(1, "run", params, "--out", folder, mode)
        assert second.returncode == 2
        pid = json.loads((folder / "run.lock").read_text())["pid"]
        assert pid in ranks_of(first)
        assert f"mpiepm: {folder}: in use by process {pid} on " in second.stderr
    subprocess.run(["kill", "-USR1", str(first.pid)], check=True)
    first.communicate(timeout=CAP)
    assert first.returncode == 75
