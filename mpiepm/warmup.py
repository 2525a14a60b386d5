"""Compile once, not once per rank: numba's cache on a shared file system does not survive a race of writers."""

from collections.abc import Iterable
from typing import Any

from mpi4py import MPI

from mpiepm.models.parameters import Parameters


def compile_in_turn(comm: MPI.Intracomm, params: Parameters) -> None:
    """Let rank 0 compile everything on a tiny lattice, then the first rank of every node, then return on all. Collective.

    The others find the compiled code in the cache, whether it is shared by all nodes or local to each.
    """
    if comm.size == 1:
        return
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    node_rank = node.rank
    node.Free()
    if comm.rank == 0:
        rehearse(params)
    comm.Barrier()
    if comm.rank != 0 and node_rank == 0:
        rehearse(params)
    comm.Barrier()


def rehearse_all(runs: Iterable[Parameters]) -> None:
    """Compile everything that any of these runs needs, in this process alone; runs that need the same count once."""
    for params in {_kind(params): params for params in runs}.values():
        rehearse(params)


def _kind(params: Parameters) -> str:
    """What decides which functions a run compiles, more or less."""
    model = params.model
    own = (getattr(model, "elasticity", True), getattr(model, "activation", ""), bool(getattr(params, "tracers", None)))
    return str((params.engine, params.output, own))


def rehearse(params: Parameters) -> None:
    """Compile everything that a run with these parameters needs, in this process alone."""
    from mpiepm.core.engine_sections import Auto, Event, Split, Step, Sweep
    from mpiepm.core.sections import Lattice
    from mpiepm.engine.layout import slabs
    from mpiepm.simulation import Simulation

    engines = (Event(), Split(), Sweep()) if isinstance(params.engine, Auto) else (params.engine,)
    for engine in engines:
        side = 2 * engine.strip if isinstance(engine, Split) else 8
        update: dict[str, Any] = {"lattice": Lattice(size=(side, side)), "model": params.model.busy(), "engine": engine}
        if isinstance(engine, Step):  # few long steps call all functions
            update["engine"] = engine.model_copy(update={"time_step": 0.1})
            update["tracers"] = params.tracers and params.tracers.model_copy(update={"number": 4})
        small = params.model_copy(update=update)
        Simulation(slabs(small, MPI.COMM_SELF), small).rehearse()
