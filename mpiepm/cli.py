"""The command line: what to do, on which ranks, and how to end. What each command does: `mpiepm.commands`, `mpiepm.start`.

Exit codes: 0 done, 1 a fault on the way, 2 something the user wrote is wrong (nothing has been touched), 75 a run was ended by
a limit or a signal before it was finished: a checkpoint is written, continue it with --resume.
"""

import argparse
import io
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mpiepm.arguments import parser
from mpiepm.core.exits import BAD_INPUT, FAILED, FINISHED
from mpiepm.core.faults import ParameterError, RunError
from mpiepm.runtime import launch

if TYPE_CHECKING:
    from mpi4py import MPI

_GRACE = 10.0  # seconds for the other ranks to find the same fault


def _needs_mpi(arguments: argparse.Namespace) -> bool:
    """Do ranks do this, or a simulation in this process?"""
    return arguments.command in ("run", "validate", "compile") or getattr(arguments, "measure", False)


def _ranks(*, needed: bool) -> "MPI.Intracomm | None":
    """All ranks; None without MPI, which is not started where one process does it: on login nodes it may be forbidden."""
    import mpi4py

    started, _ = launch.tasks(os.environ, launch.parent_process())
    if not needed and started <= 1:
        mpi4py.rc.initialize = False
    from mpi4py import MPI

    return MPI.COMM_WORLD if MPI.Is_initialized() else None


def _dispatch(arguments: argparse.Namespace, comm: "MPI.Intracomm | None", began: float) -> int:
    """Do what the command says; the exit code."""
    from mpiepm import commands
    from mpiepm.grid.root import on_root

    if arguments.command in ("run", "validate"):
        from mpi4py import MPI

        assert comm is not None
        library = MPI.Get_library_version().split(",")[0].strip("\0 \n")
        launch.check(comm.size, os.environ, library, launch.parent_process())
        if arguments.command == "run":
            from mpiepm import start

            return start.run(arguments, comm, began)
        return commands.validate(arguments, comm)
    return on_root(comm, lambda: commands.ON_ONE[arguments.command](arguments)) or FINISHED


def _leave(error: Exception, code: int, comm: "MPI.Intracomm | None") -> NoReturn:
    """Say what is wrong, once, and end with all ranks; if the others do not come, only this one knows, and ends them."""
    together, suffix = True, ""
    if comm is not None:
        arrived = comm.Ibarrier()
        deadline = time.monotonic() + _GRACE
        while not (together := arrived.Test()) and time.monotonic() < deadline:
            time.sleep(0.01)
        suffix = f" (rank {comm.rank} of {comm.size})" * (not together)
    if (comm is None or comm.rank == 0 or not together) and str(error):
        for line in str(error).splitlines():
            print(f"mpiepm: {line}{suffix}", file=sys.stderr)
    sys.stderr.flush()
    if comm is not None and not together:
        comm.Abort(code)
    sys.exit(code)


class _Output(io.FileIO):
    """A standard stream whose reader may leave, as ``head`` does: what comes after that is dropped, and the work goes on."""

    def write(self, data: Any) -> int:
        """Write, or drop."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            return len(data)


def _let_readers_leave() -> None:
    """Make an `_Output` of the standard output and error, where nobody has replaced them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            buffer = io.BufferedWriter(_Output(stream.fileno(), "wb", closefd=False))
            at_once = stream.line_buffering or stream.write_through
            again = io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=at_once)
            setattr(sys, name, again)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point; never returns. An exception that nobody caught on one rank ends all ranks."""
    began = time.time()
    launch.settle_home(os.environ)
    _let_readers_leave()
    fault: ParameterError | None = None
    try:
        arguments = parser().parse_args(argv)
    except ParameterError as error:
        fault = error
    comm = _ranks(needed=fault is None and _needs_mpi(arguments))
    try:
        if fault:
            raise fault
        code = _dispatch(arguments, comm, began)
    except ParameterError as error:
        _leave(error, BAD_INPUT, comm)
    except RunError as error:
        _leave(error, FAILED, comm)
    except SystemExit:
        raise
    except BaseException:
        where = f"rank {comm.rank} of {comm.size}" if comm else f"mpiepm {arguments.command}"
        print(f"mpiepm: {where} failed:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        if comm and comm.size > 1:
            comm.Abort(FAILED)
        sys.exit(FAILED)
    sys.exit(code)
