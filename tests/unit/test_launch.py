"""What tells how many processes were started together, and where the home of the user is."""

import os
import pwd

import pytest

from mpiepm.core.faults import ParameterError
from mpiepm.runtime import launch

STEP = {"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"}


@pytest.mark.parametrize(
    ("environment", "parent", "started", "own"),
    [
        ({}, "bash", 1, 0),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}, "slurmstepd", 1, 0),  # a batch script
        ({"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, "slurmstepd", 1, 0),  # srun -n 1
        (STEP, "slurmstepd", 8, 3),  # srun -n 8
        (STEP, "bash", 1, 0),  # typed into a shell in a step
        ({**STEP, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, "mpirun", 1, 0),  # mpirun -n 1 in it
        ({**STEP, "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}, "prted", 4, 2),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}, "mpirun", 4, 2),
        ({"PMI_SIZE": "4", "PMI_RANK": "1"}, "hydra_pmi_proxy", 4, 1),
    ],
)
def test_how_many_tasks_were_started(environment: dict[str, str], parent: str, started: int, own: int) -> None:
    assert launch.tasks(environment, parent) == (started, own)
    launch.check(started, environment, "MPI", parent)
    if started > 1:
        with pytest.raises(ParameterError, match="^$" if own else "tasks were started"):
            launch.check(1, environment, "MPI", parent)


def test_a_user_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({}, {"HOME": ""}, {"HOME": "/elsewhere"}):
        environment: dict[str, str] = dict(given)
        launch.settle_home(environment)
        assert environment["HOME"] == (given.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    unknown: dict[str, str] = {}
    launch.settle_home(unknown)
    assert unknown["HOME"] == "/nonexistent"
