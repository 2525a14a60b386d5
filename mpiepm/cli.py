"""The command line: ``mpiepm run | compile | campaign | analyse | scaling | figure | theory | validate | verify | info``.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mpiepm import launch
from mpiepm.arguments import parser
from mpiepm.core.exits import BAD_INPUT, FAILED, FINISHED
from mpiepm.core.faults import RunError
from mpiepm.core.params import ParameterError

if TYPE_CHECKING:
    from mpi4py import MPI

_PICTURES = (".png", ".pdf", ".svg")
_GRACE = 10.0  # seconds for the other ranks to find the same fault


def _info(arguments: argparse.Namespace) -> None:
    from mpiepm.io.provenance import software

    if arguments.folder is None:
        for name, version in software().items():
            print(f"{name:14s} {version}")
        return
    from mpiepm.analysis.describe import describe

    print(describe(arguments.folder))


def _verify(folders: Sequence[Path]) -> int:
    from mpiepm.analysis.verify import verify
    from mpiepm.io.rundir import require_run

    for folder in folders:
        require_run(folder)
    findings = 0
    for folder in folders:
        report = verify(folder)
        findings += len(report.findings)
        print(report, flush=True)
    return FAILED if findings else FINISHED


def _compile(arguments: argparse.Namespace) -> None:
    from mpiepm.core.params import load
    from mpiepm.warmup import rehearse_all

    rehearse_all([load(path) for path in arguments.params])


def _analyse(arguments: argparse.Namespace) -> None:
    from mpiepm.analysis.read import explained
    from mpiepm.analysis.results import labelled, save, state_points
    from mpiepm.analysis.table import tables

    archives = [_resolve("DIR", path) for folder in arguments.folders for path in (folder, folder / "archive.h5")]
    for path in arguments.save:
        if path.suffix not in (".csv", ".nc", ".h5"):
            raise ParameterError(f"--save {path}: must end in .csv, .nc or .h5")
        if _resolve("--save", path) in archives:
            raise ParameterError(f"--save {path}: is one of the archives to be read")
        if not path.parent.is_dir():
            raise ParameterError(f"--save {path}: cannot be written: {path.parent} is no directory")
    with explained():
        points = state_points(arguments.folders)
        print(tables(points))
        result = labelled(points) if arguments.save else None
    if result is not None:
        for path in arguments.save:
            try:
                save(result, path)
            except OSError as error:
                raise ParameterError(f"--save {path}: cannot be written: {error.strerror or error}") from None


def _resolve(option: str, path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise ParameterError(f"{option} {path}: {error}") from None


def _scaling(arguments: argparse.Namespace) -> None:
    from mpiepm.analysis.read import explained
    from mpiepm.analysis.scaling_table import summary

    with explained():
        print(summary(arguments.folders))


def _theory(arguments: argparse.Namespace) -> None:
    from mpiepm.physics.eshelby import exact_kernels
    from mpiepm.theory.mean_field import coupling, coupling_of_edge
    from mpiepm.theory.report import relaxation_report, report
    from mpiepm.theory.stationary import LOWEST_TEMPERATURE

    for temperature in arguments.temperatures:
        if not LOWEST_TEMPERATURE <= temperature < float("inf"):
            raise ParameterError(f"T = {temperature:g}: must be at least {LOWEST_TEMPERATURE:g}")
    if not 8 <= arguments.length <= 4096:
        raise ParameterError(f"--length {arguments.length}: must be at least 8 and at most 4096")
    alpha = arguments.alpha
    if alpha is None:
        alpha = coupling(exact_kernels((arguments.length, arguments.length), arguments.kernel))
    if not 0.0 < alpha < (largest := coupling_of_edge(1.0)):
        raise ParameterError(f"--alpha {alpha:g}: must be above 0 and below {largest:.4f}")
    if arguments.relaxation is None:
        print(report(alpha, arguments.temperatures))
    elif 0.0 < arguments.relaxation <= 5.0:
        print(relaxation_report(alpha, arguments.temperatures, arguments.relaxation))
    else:
        raise ParameterError(f"--relaxation {arguments.relaxation:g}: must be above 0 and at most 5")


def _figure(arguments: argparse.Namespace) -> None:
    from mpiepm.analysis.overview import overview
    from mpiepm.analysis.read import explained

    path = arguments.out or arguments.folder / f"{arguments.name}.png"
    if path.suffix not in _PICTURES:
        raise ParameterError(f"--out {path}: must end in {', '.join(_PICTURES)}")
    try:
        with explained():
            overview(arguments.folder, path)
    except OSError as error:
        raise ParameterError(f"--out {path}: cannot be written: {error.strerror or error}") from None
    print(path)


def _validate(arguments: argparse.Namespace, comm: "MPI.Intracomm") -> None:
    """Raises SystemExit, on all ranks, if a comparison fails."""
    from mpiepm import validation

    if not 0 <= arguments.seed < 2**63:
        raise ParameterError(f"--seed {arguments.seed}: must be at least 0 and below 2**63")
    known = validation.temperatures(quick=arguments.quick)
    for temperature in arguments.temperatures:
        if temperature not in known:
            raise ParameterError(f"T = {temperature:g}: must be one of {', '.join(f'{value:g}' for value in known)}")
    if comm.rank == 0:
        print(validation.HEADER, flush=True)
    failed = 0
    for row in validation.rows(quick=arguments.quick, seed=arguments.seed, only=arguments.temperatures):
        failed += not row.passed
        if comm.rank == 0:
            print(row, flush=True)
    if comm.rank == 0:
        print(f"{failed} failed" if failed else "all passed")
    if failed:
        sys.exit(FAILED)


def _dispatch(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> int:
    """Do what the command says; the exit code."""
    from mpiepm.grid.root import on_root

    if arguments.command in ("run", "validate"):
        from mpi4py import MPI

        library = MPI.Get_library_version().split(",")[0].strip("\0 \n")
        launch.check(comm.size, os.environ, library, launch.parent_process())
    if arguments.command == "run":
        from mpiepm import start

        return start.run(arguments, comm, began)
    if arguments.command == "verify":
        return on_root(comm, lambda: _verify(arguments.folders))
    if arguments.command == "campaign":
        from mpiepm.campaign import command

        return on_root(comm, lambda: command.main(arguments))
    if arguments.command == "validate":
        _validate(arguments, comm)
        return FINISHED
    readers = {"compile": _compile, "analyse": _analyse, "scaling": _scaling, "theory": _theory, "figure": _figure,
               "info": _info}  # fmt: skip
    on_root(comm, lambda: readers[arguments.command](arguments))
    return FINISHED


def _leave(error: Exception, code: int, comm: "MPI.Intracomm") -> NoReturn:
    """Say what is wrong, once, and end with all ranks; if the others do not come, only this one knows, and ends them."""
    arrived = comm.Ibarrier()
    deadline = time.monotonic() + _GRACE
    while not (together := arrived.Test()) and time.monotonic() < deadline:
        time.sleep(0.01)
    if (comm.rank == 0 or not together) and str(error):
        for line in str(error).splitlines():
            print(f"mpiepm: {line}" + f" (rank {comm.rank} of {comm.size})" * (not together), file=sys.stderr)
    sys.stderr.flush()
    if not together:
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
    _let_readers_leave()
    fault: ParameterError | None = None
    try:
        arguments = parser().parse_args(argv)
    except ParameterError as error:
        fault = error
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
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
        print(f"mpiepm: rank {comm.rank} of {comm.size} failed:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        if comm.size > 1:
            comm.Abort(FAILED)
        sys.exit(FAILED)
    sys.exit(code)
