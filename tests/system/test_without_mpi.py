"""Commands for login nodes, where MPI cannot start; and `mpiepm doctor`, which says what a machine can do."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPMQ = ROOT / "tests" / "data" / "archive3" / "epmq"
CAMPAIGN = '[base]\nmodel.temperature = 0.1\nlattice.size = [16, 16]\n[[grid]]\nover = { seed = 2 }\n'
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def no_mpi(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """MPI_Init ends the process."""
    monkeypatch.setitem(environment, "OMPI_MCA_pml", "nosuch")


@pytest.mark.parametrize(
    "command",
    [
        ["info"], ["info", EPMQ], ["verify", EPMQ], ["analyse", EPMQ], ["scaling", EPMQ], ["theory", "0.1"],
        ["figure", EPMQ, "--out", "a.png"], *(["campaign", action, "campaign.toml", "--out", "out"] for action in
                                              ("plan", "status", "collect", "report")),
    ],
    ids=lambda command: "-".join(map(str, command[:2])),
)  # fmt: skip
def test_needs_no_mpi(
    command: list[object], no_mpi: None, mpiepm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    done = mpiepm(1, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "MPI_INIT" not in done.stderr


def test_mpi_that_cannot_start(no_mpi: None, mpiepm: Run, tmp_path: Path) -> None:
    """It is the one of the tests above that ends a run; wrong input is told first, and without it."""
    (tmp_path / "p.toml").write_text("model.temperature = 0.1\nlattice.size = [8, 8]\nrun.origins = 1\n")
    assert mpiepm(1, "run", tmp_path / "p.toml", "--out", tmp_path / "run").returncode not in (0, 2)
    wrong = mpiepm(1, "rum")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.mpirun
def test_doctor(mpiepm: Run, tmp_path: Path) -> None:
    done = mpiepm(1, "doctor", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"ok +mpirun -n 2: 2 ranks on \S+ see each other", lines[0])
    assert all(line.startswith(("ok ", "warning ")) for line in lines)
    for what in ("cores", "HDF5", "fsync", "locks", "compiled functions", "Slurm"):
        assert any(what in line for line in lines), what
    assert list(tmp_path.iterdir()) == []


def test_doctor_where_mpi_cannot_start(no_mpi: None, mpiepm: Run, tmp_path: Path) -> None:
    done = mpiepm(1, "doctor", tmp_path)
    assert done.returncode == 1
    assert re.match(r"failed +mpirun -n 2: ended with code \d+: .*; on a login node MPI may be forbidden", done.stdout)
    missing = mpiepm(1, "doctor", tmp_path, "--launcher", "nosuch")
    assert missing.stdout.startswith("failed   nosuch -n 2: no such program; load the module of your MPI")
    assert mpiepm(1, "doctor", tmp_path / "none").returncode == 2


def test_doctor_finds_a_launcher_of_another_mpi(mpiepm: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """Each process takes itself for the only one."""
    other = tmp_path / "launcher"
    other.write_text('#!/bin/sh\nshift 2\n"$@" & "$@"; wait\n')
    other.chmod(0o755)
    done = mpiepm(1, "doctor", tmp_path, "--launcher", other)
    assert done.returncode == 1
    assert "2 processes that are each rank 0 of 1" in done.stdout.splitlines()[0]


def test_doctor_where_nothing_can_be_written(mpiepm: Run) -> None:
    done = mpiepm(1, "doctor", "/proc/self")
    assert done.returncode == 1
    assert "/proc/self: cannot be written" in done.stdout
