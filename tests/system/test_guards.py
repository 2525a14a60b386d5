"""Runs that fall ill, ranks that die or stop, launchers that do not match: found, told, ended everywhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import CAP, slowness, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.mpirun

PARAMS = """
[lattice]
size = [33, 50]
[model]
temperature = 0.1
[run]
equilibrate = { events_per_site = 1 }
origins = 1000
[output]
checkpoint_minutes = 1e-3
"""
POISONED = """
import sys
from mpi4py import MPI
from mpiepm import cli
from mpiepm.engine import {module}
kind = {module}.{name}
advance = kind.advance
def poisoned(self, state, until):
    yield from advance(self, state, until)
    if MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1 and state.events > 3000:
        state.{field}[3, 7] = {value}
kind.advance = poisoned
cli.main(["run", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("params") / "params.toml"
    path.write_text(PARAMS)
    return path


@pytest.mark.parametrize(
    ("module", "name", "field", "value", "expected"),
    [
        ("sweep", "SweepEngine", "stress", "float('nan')", "stress nan at site ("),
        ("event", "EventEngine", "plastic_strain", "float('inf')", "plastic strain inf at site (25, 7) on rank 2 (rows 22-32)"),
    ],
)
def test_one_sick_site_on_one_rank(
    params: Path, environment: dict[str, str], tmp_path: Path, module: str, name: str, field: str, value: str, expected: str
) -> None:
    program = POISONED.format(module=module, name=name, field=field, value=value)
    command = ["mpirun", "-n", "3", sys.executable, "-c", program, str(params), "--out", str(tmp_path / "run"),
               "--set", f"engine.name={module}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mpiepm: ")]
    assert len(lines) == 1
    assert expected in lines[0]
    assert ", at t = " in lines[0]
    assert " sweeps (" in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "archive.h5").exists()


def stall() -> dict[str, str]:
    """Environment of a run that is given up when it stalls, soon but not too soon for this machine."""
    return {"MPIEPM_STALL_SECONDS": str(3 * slowness())}


def _start(environment: dict[str, str], params: Path, folder: Path) -> "subprocess.Popen[str]":
    """On three ranks, until it is on its way."""
    command = ["mpirun", "-n", "3", sys.executable, "-m", "mpiepm", "run", str(params), "--out", str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environment | stall(),
    )  # fmt: skip
    wait_for(lambda: any(folder.glob("checkpoint-*.h5")), process)
    return process


def _pid(launcher: int, rank: int) -> int:
    """The process of this rank, a child of mpirun."""
    for task in Path(f"/proc/{launcher}/task").iterdir():
        for child in (task / "children").read_text().split():
            if f"OMPI_COMM_WORLD_RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
                return int(child)
    raise AssertionError(f"rank {rank} is not there")


def test_a_rank_that_is_stopped(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    process = _start(environment, params, tmp_path / "run")
    os.kill(_pid(process.pid, 1), signal.SIGSTOP)
    _, errors = process.communicate(timeout=CAP)
    assert process.returncode == 1, errors
    lines = [line for line in errors.splitlines() if line.startswith("mpiepm: ")]
    assert "mpiepm: no progress for " in lines[0]  # mpirun wakes the stopped one to end it: it may complain, too
    assert "rank 1 of 3 (rows 11-21, host " in lines[0]
    assert "has not been heard of" in lines[0]
    assert "rank 0 is waiting in" in lines[0]
    assert "rank 2 is waiting in" in lines[0]
    assert lines[0].removeprefix("mpiepm: ") in (tmp_path / "run" / "run.log").read_text()


def test_a_rank_that_hangs(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from mpi4py import MPI\n"
        "from mpiepm import cli, simulation\n"
        "advance = simulation.Simulation.advance\n"
        "def stuck(self, *given):\n"
        "    while MPI.COMM_WORLD.rank == 2 and self.state.events > 3000: pass\n"
        "    return advance(self, *given)\n"
        "simulation.Simulation.advance = stuck\n"
        "cli.main(['run', *sys.argv[1:]])\n"
    )
    command = ["mpirun", "-n", "3", sys.executable, "-c", program, str(params), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment | stall())
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mpiepm: ")]
    assert len(lines) == 1, done.stderr
    assert "rank 2 of 3 (rows 22-32, host " in lines[0]
    assert " is busy in <string>:6, stuck; rank 0 is waiting in domain.py" in lines[0]


def test_a_fault_that_only_one_rank_sees(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A file server may show a checkpoint to one host later than to the other."""
    process = _start(environment, params, tmp_path / "run")
    process.terminate()
    process.communicate(timeout=CAP)
    program = (
        "import pathlib, sys\n"
        "from mpi4py import MPI\n"
        "from mpiepm import cli\n"
        "from mpiepm.io import checkpoint\n"
        "restore = checkpoint.restore\n"
        "def late(path, domain, parts):\n"
        "    restore(pathlib.Path('/nowhere') if domain.rank == 1 else path, domain, parts)\n"
        "checkpoint.restore = late\n"
        "cli.main(['run', *sys.argv[1:]])\n"
    )
    command = ["mpirun", "-n", "2", sys.executable, "-c", program, "--out", str(tmp_path / "run"), "--resume"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert done.returncode == 2
    assert "mpiepm: /nowhere: no such file (rank 1 of 2)\n" in done.stderr


def test_a_rank_that_is_killed(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    process = _start(environment, params, tmp_path / "run")
    os.kill(_pid(process.pid, 1), signal.SIGKILL)
    _, errors = process.communicate(timeout=CAP)
    assert process.returncode not in (0, 2, 75)
    assert "rank 1" in errors
    assert "Killed" in errors


def test_tasks_that_mpi_does_not_see(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Two processes of one launch, each of which MPI takes for the only one: what a wrong launcher looks like."""
    alone = ["bash", "-c", "unset ${!PMIX_@} ${!OMPI_MCA_@}; exec \"$@\"", "alone"]
    run = [sys.executable, "-m", "mpiepm", "run", str(params), "--out", str(tmp_path / "run")]
    command = ["mpirun", "-n", "2", *alone, *run]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mpiepm: ")]
    assert len(lines) == 1, done.stderr
    assert "2 tasks were started, but to MPI each of them is rank 0 of 1" in lines[0]
    assert not (tmp_path / "run").exists()


def test_a_limit_that_is_no_number(params: Path, environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mpiepm", "run", str(params), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=CAP, env=environment | {"MPIEPM_STALL_SECONDS": "soon"}
    )
    assert done.returncode == 2
    assert "MPIEPM_STALL_SECONDS = 'soon': must be a number of seconds" in done.stderr
    assert not (tmp_path / "run").exists()
