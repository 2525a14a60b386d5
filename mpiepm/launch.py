"""Was the program started by a launcher that its MPI does not understand? Then every process takes itself for the only one."""

from collections.abc import Mapping

from mpiepm.core.params import ParameterError

_SIZES = {  # what a launcher tells every process: how many there are, and which one it is
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
}


def tasks(environment: Mapping[str, str]) -> tuple[int, int]:
    """How many processes were started together, and which of them this is: (1, 0) without a launcher.

    A batch script of Slurm is no launch: SLURM_NTASKS is what the job may start. Only a step, started by srun, has tasks,
    and the step of the script itself, "batch", has one.
    """
    for size, rank in _SIZES.items():
        count = environment.get(size, "")
        if count.isdecimal() and int(count) > 1:
            own = environment.get(rank, "")
            return int(count), int(own) if own.isdecimal() else 0
    return 1, 0


def check(ranks: int, environment: Mapping[str, str], library: str) -> None:
    """Raises ParameterError if there are more tasks than MPI has `ranks`; its message is empty but in the first of them."""
    started, own = tasks(environment)
    if ranks > 1 or started == 1:
        return
    raise ParameterError(
        "" if own else
        f"{started} tasks were started, but to MPI each of them is rank 0 of 1: the launcher does not match the MPI library "
        f"({library}); start it by the mpirun of that library, or by srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)"
    )  # fmt: skip
