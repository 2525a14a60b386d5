"""How the program was started: by a launcher that its MPI understands, by a user who has a home.

If MPI does not understand the launcher, every process takes itself for the only one.
"""

import os
import pwd
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from mpiepm.core.faults import ParameterError

_SIZES = {  # what a launcher tells every process: how many there are, and which one it is; the innermost launcher first
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
}


def tasks(environment: Mapping[str, str], parent: str) -> tuple[int, int]:
    """How many processes were started together, and which of them this is: (1, 0) without a launcher.

    The innermost launcher decides: mpirun -n 1 within a step of Slurm starts one. Of a step only those are tasks that Slurm
    itself has started, whose `parent` is slurmstepd; what is typed into a shell that runs in a step is none. A batch script is
    no launch: SLURM_NTASKS is what the job may start.
    """
    for size, rank in _SIZES.items():
        count = environment.get(size, "")
        if count.isdecimal() and (size != "SLURM_STEP_NUM_TASKS" or parent == "slurmstepd"):
            own = environment.get(rank, "")
            return int(count), int(own) if own.isdecimal() else 0
    return 1, 0


def settle_home(environment: MutableMapping[str, str]) -> None:
    """Set HOME if it is missing or empty: as the system knows this user, or to a folder that is not there.

    Open MPI 4 crashes where the user is unknown and HOME is not set; an empty one would be taken for "/".
    """
    if not environment.get("HOME"):
        try:
            environment["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            environment["HOME"] = "/nonexistent"


def parent_process() -> str:
    """Name of the program that has started this process, "" if it cannot be seen."""
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return ""


def check(ranks: int, environment: Mapping[str, str], library: str, parent: str) -> None:
    """Raises ParameterError if there are more tasks than MPI has `ranks`; its message is empty but in the first of them."""
    started, own = tasks(environment, parent)
    if ranks > 1 or started <= 1:
        return
    raise ParameterError(
        "" if own else
        f"{started} tasks were started, but to MPI each of them is rank 0 of 1: the launcher does not match the MPI library "
        f"({library}); start it by the mpirun of that library, or by srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)"
    )  # fmt: skip
