"""``mpiepm run``: check everything that was given, hold the directory, and let the simulation run."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mpiepm.core.exits import FINISHED, UNFINISHED
from mpiepm.core.faults import ParameterError, RunError
from mpiepm.engine.layout import fewest_ranks, most_ranks, slabs
from mpiepm.grid.memory import Node, available
from mpiepm.grid.root import on_root
from mpiepm.io import memory, rundir, space
from mpiepm.models.parameters import Parameters, load, parse
from mpiepm.observe.snapshots import unreachable
from mpiepm.runtime import watchdog
from mpiepm.runtime.limits import Limits, duration, end_of_job

if TYPE_CHECKING:
    from mpi4py import MPI


class Job(NamedTuple):
    """What there is to do, as rank 0 has found out for all.

    Attributes
    ----------
    text : the parameters;  patience : seconds without progress after which it is given up, see `watchdog.limit`
    """

    text: str
    folder: Path
    resume: bool
    patience: float


def run(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> int:
    """The exit code: is the run finished? Its wall time counts from `began`, seconds since 1970. Collective."""
    nodes = available(comm)
    limits = Limits()
    with limits.listening(), ExitStack() as stack:

        def prepare() -> Job:
            given = began + duration(arguments.walltime) if arguments.walltime else math.inf
            limits.deadline = min(given, end_of_job())
            return _prepare(arguments, nodes, stack)

        job = on_root(comm, prepare)
        if job.resume and on_root(comm, lambda: rundir.is_finished(job.folder)):
            if comm.rank == 0:
                rundir.tidy(job.folder)  # it may have been killed between its archive and this
                print(f"{job.folder}: the run is finished, nothing to resume")
            return FINISHED
        finished = perform(job, comm, limits, quiet=arguments.quiet)
        if finished and comm.rank == 0 and not arguments.quiet:
            from mpiepm.analysis.table import summary

            print(summary([job.folder]))
    return FINISHED if finished else UNFINISHED


def perform(job: Job, comm: "MPI.Intracomm", limits: Limits, *, quiet: bool) -> bool:
    """Begin or resume a run in its directory, which is prepared and held: is it finished? Collective; see `loop.run`."""
    from numba.core.event import install_listener

    from mpiepm import loop
    from mpiepm.runtime import compiling
    from mpiepm.runtime.progress import Progress
    from mpiepm.warmup import compile_in_turn

    params = parse(job.text)
    telling = Progress(job.folder / rundir.LOG, active=comm.rank == 0, quiet=quiet)
    with telling as progress, install_listener(compiling.EVENT, compiling.Passes()):
        if comm.size > 1:
            progress.phase("loading or compiling the program")
            compile_in_turn(comm, params)
        domain = slabs(params, comm)
        with watchdog.watching(domain, job.folder, job.patience):
            return loop.run(domain, params, job.folder, resume=job.resume, progress=progress, limits=limits)


def _prepare(arguments: argparse.Namespace, nodes: list[Node], stack: ExitStack) -> Job:
    """Check everything the user gave, then the directory, held until the end of `stack`."""
    folder = arguments.out
    if folder is None and arguments.params is None:
        raise ParameterError("mpiepm run: give a parameter file, or --out DIR --resume")
    folder = folder or Path("results") / arguments.params.stem
    if arguments.imports:
        arguments.overrides.insert(0, f"imports={json.dumps([str(path.resolve()) for path in arguments.imports])}")
    params = load(arguments.params, arguments.overrides) if arguments.params else None
    if params is None and arguments.overrides:
        if not arguments.resume:
            raise ParameterError(f"--set {arguments.overrides[0]}: needs a parameter file, or --resume")
        params = _changed(folder, arguments.overrides)
    stored = params is None
    if params is not None:
        if params.model.measured:
            from mpiepm.analysis.stationary import resolve_measured

            params = resolve_measured(params)
        check_machine(params, nodes)
        _check_space(params, folder)
        for line in unreachable(params):
            print(f"mpiepm: warning: {line}", file=sys.stderr, flush=True)
    patience = watchdog.limit()
    try:
        if not (arguments.resume and rundir.is_finished(folder, params)):
            stack.enter_context(rundir.occupied(folder))
        params, resume = rundir.prepare(folder, params, resume=arguments.resume, overwrite=arguments.overwrite)
    except RunError:
        raise
    except OSError as error:
        raise ParameterError(f"--out {folder}: {error.strerror}") from None
    if stored:
        check_machine(params, nodes)
        _check_space(params, folder)
    return Job(params.to_toml(), folder, resume, patience)


def _changed(folder: Path, overrides: Sequence[str]) -> Parameters:
    """The parameters of a run with these on top.

    Raises
    ------
    ParameterError : if there is no run, or one of them is wrong
    """
    rundir.require_run(folder)
    own = rundir.parameters(folder)
    try:
        return parse(own.to_toml(), overrides, str(folder / rundir.PARAMETERS))
    except ParameterError:
        for override in overrides:  # of another name the other keys of its section are unknown
            if override.partition("=")[0].strip() in ("model.name", "engine.name"):
                names = f"model.name = {own.model.name!r} and engine.name = {own.engine.name!r}"
                raise ParameterError(f"--set {override}: {folder} holds a run of {names}, which stay as they are") from None
        raise


def check_machine(params: Parameters, nodes: list[Node]) -> None:
    """Is the lattice large enough for the ranks, and the memory of their nodes for the lattice?

    Raises
    ------
    ParameterError : if not
    """
    size, ranks = list(params.lattice.size), sum(len(node.ranks) for node in nodes)
    given = f"lattice.size = {size}, engine.name = {params.engine.name!r}"
    if ranks > (most := most_ranks(params)):
        raise ParameterError(f"{given}: {ranks} ranks are too many, must be at most {most}")
    if 1 < ranks < (fewest := fewest_ranks(params)):
        raise ParameterError(f"{given}: {ranks} ranks are too few for the messages of MPI, must be 1 or at least {fewest}")
    _warn(memory.check(params, nodes))


def _check_space(params: Parameters, folder: Path) -> None:
    _warn(space.check(params, folder))


def _warn(text: str) -> None:
    if text:
        print(f"mpiepm: warning: {text}", file=sys.stderr, flush=True)
