"""The command line: ``mpiepm run | campaign | analyse | scaling | figure | theory | validate | verify | info``.

Exit codes: 0 done, 1 a fault on the way, 2 something the user wrote is wrong (nothing has been touched), 75 a run was ended by
a limit or a signal before it was finished: a checkpoint is written, continue it with --resume.
"""

import argparse
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from mpiepm import __version__, launch
from mpiepm.campaign import arguments as campaign_arguments
from mpiepm.core.exits import BAD_INPUT, FAILED, FINISHED, UNFINISHED
from mpiepm.core.faults import RunError
from mpiepm.core.limits import Limits, duration, end_of_job
from mpiepm.core.params import ParameterError

if TYPE_CHECKING:
    from mpi4py import MPI

    from mpiepm.core.params import AnyParameters

_Result = TypeVar("_Result")
_PICTURES = (".png", ".pdf", ".svg")

_EXAMPLES = """\
examples:
  mpiepm run params.toml --out results/first
  mpirun -n 4 mpiepm run params.toml --out results/cold --set model.temperature=0.02 --set lattice.size=[512,512]
  mpirun -n 2 mpiepm run --out results/cold --resume
  mpiepm analyse results/first results/second
  mpiepm figure overview results/first --out first.png
"""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line as everything else does: once, whatever the number of ranks."""

    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"{message}; see {self.prog} --help")


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="mpiepm", formatter_class=raw, epilog=_EXAMPLES,
        description="Thermal elastoplastic models on a 2D lattice, distributed over MPI ranks.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"mpiepm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser(
        "run", help="run a simulation", formatter_class=raw, epilog=_EXAMPLES,
        description="Run the simulation of a parameter file. Start it with mpirun for more than one rank.",
    )  # fmt: skip
    run.add_argument("params", type=_path, nargs="?", help="parameter file (TOML); not needed with --resume")
    run.add_argument("--out", type=_path, metavar="DIR", help="run directory (default: results/NAME of NAME.toml)")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                     help="override a parameter by its dotted name; may be repeated")  # fmt: skip
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--resume", action="store_true", help="continue from the newest checkpoint in DIR")
    mode.add_argument("--overwrite", action="store_true", help="drop the run that DIR holds")
    run.add_argument("--walltime", metavar="TIME",
                     help="end in time, with a checkpoint and exit code 75: 90s, 30m, 24h, 2d, HH:MM:SS, D-HH:MM:SS; in a "
                     "Slurm job its limit counts as well")  # fmt: skip
    run.add_argument("--quiet", action="store_true", help="no progress line, no table at the end")

    analyse = commands.add_parser(
        "analyse", help="relaxation times, chi4 peak, yield rate, correlation length",
        description="What finished runs measured, averaged over origins and over the seeds of each state point, with errors "
        "that account for the correlation of origins.",
    )  # fmt: skip
    analyse.add_argument("folders", type=_path, nargs="+", metavar="DIR", help="runs of any state points and seeds")
    analyse.add_argument("--save", type=_path, action="append", default=[], metavar="FILE",
                         help="the numbers as .csv, or everything as .nc or .h5 for xarray; may be repeated")  # fmt: skip

    sizes = commands.add_parser(
        "scaling", help="finite-size scaling: is the lattice large enough, do all sizes collapse?",
        description="Runs at several sizes and temperatures: tau_alpha and the chi4 peak from one size to the next, with "
        "errors, and L against xi_4; then data collapses with their exponents and quality. See docs/scaling.md.",
    )  # fmt: skip
    sizes.add_argument("folders", type=_path, nargs="+", metavar="DIR", help="runs of any sizes, temperatures and seeds")

    figure = commands.add_parser("figure", help="draw a figure from an archive")
    figure.add_argument("name", choices=["overview"], help="overview: P(t), chi4(t), P(sigma) and a mobility map")
    figure.add_argument("folder", type=_path, metavar="DIR")
    figure.add_argument("--out", type=_path, metavar="FILE", help="default: DIR/NAME.png")

    validate = commands.add_parser(
        "validate", help="the engines against closed forms and against each other",
        description="Engines against closed forms (without elasticity) and against each other at common state points. Exit "
        "code 1 if any comparison fails. With --quick 80 s; without, the nine temperatures of Ozawa & Biroli at L = 64, an "
        "hour.",
    )  # fmt: skip
    validate.add_argument("--quick", action="store_true", help="small lattices, two temperatures")
    validate.add_argument("--seed", type=int, default=1, help="of all runs (default: 1)")

    theory = commands.add_parser(
        "theory", help="the mean-field theory: alpha, sigma_bar, yield rates, barriers",
        description="Mean-field theory of EPM-Q (Ozawa & Biroli 2023, SI): alpha of the kernel by eq. 26, or as given; then a "
        "table of the stationary state at each temperature, with and without elasticity.",
    )  # fmt: skip
    theory.add_argument("temperatures", type=float, nargs="*", default=[0.1, 0.04, 0.02, 0.013, 0.01], metavar="T")
    theory.add_argument("--alpha", type=float, help="default: that of the kernel")
    theory.add_argument("--kernel", choices=["paper", "conserving"], default="paper", help="default: paper")
    theory.add_argument("--relaxation", type=float, metavar="STD", help="instead: Gamma(t) from a Gaussian of this width")
    theory.add_argument("--length", type=int, default=64, help="lattice on which alpha is summed (default: 64)")

    campaign_arguments.add_parser(commands)
    verify = commands.add_parser(
        "verify", help="is everything in a run directory what was written, and does it fit together?",
        description="Checks structure, checksums and contents of runs, finished or not: one line for each finding. Exit code 1 "
        "if there are any.",
    )  # fmt: skip
    verify.add_argument("folders", type=_path, nargs="+", metavar="DIR", help="run directories")

    info = commands.add_parser("info", help="versions, MPI, HDF5; or what a run directory holds")
    info.add_argument("folder", type=_path, nargs="?", metavar="DIR")
    return parser


def _run(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> int:
    """The exit code: is the run finished?"""
    from mpiepm.grid.memory import physical_memory

    memory = physical_memory(comm)
    limits = Limits()
    with limits.listening(), ExitStack() as stack:

        def prepare() -> tuple[str, Path, bool]:
            given = began + duration(arguments.walltime) if arguments.walltime else math.inf
            limits.deadline = min(given, end_of_job())
            return _prepare(arguments, comm.size, memory, stack)

        text, folder, resume = _on_root(comm, prepare)
        return FINISHED if _simulate(text, folder, resume, arguments.quiet, comm, limits) else UNFINISHED


def _on_root(comm: "MPI.Intracomm", work: Callable[[], _Result]) -> _Result:
    """What `work` gives on rank 0, on all ranks; and if the user got something wrong, that. Collective."""
    outcome: tuple[_Result] | ParameterError | RunError | None = None
    if comm.rank == 0:
        try:
            outcome = (work(),)
        except (ParameterError, RunError) as error:
            outcome = error
    outcome = comm.bcast(outcome)
    assert outcome is not None
    if isinstance(outcome, ParameterError | RunError):
        raise outcome
    return outcome[0]


def _prepare(arguments: argparse.Namespace, ranks: int, memory: int, stack: ExitStack) -> tuple[str, Path, bool]:
    """Check everything the user gave, then the directory, held until the end of `stack`: parameters, where, resume or not."""
    from mpiepm import watchdog
    from mpiepm.core.params import load
    from mpiepm.io import rundir

    folder = arguments.out
    if folder is None and arguments.params is None:
        raise ParameterError("mpiepm run: give a parameter file, or --out DIR --resume")
    folder = folder or Path("results") / arguments.params.stem
    params = load(arguments.params, arguments.overrides) if arguments.params else None
    if params is None and arguments.overrides:
        raise ParameterError(f"--set {arguments.overrides[0]}: needs a parameter file")
    if params is not None:
        params = _resolved(params)
        _check_machine(params, ranks, memory)
        _check_space(params, folder)
    watchdog.limit()
    try:
        if not (arguments.resume and rundir.is_finished(folder)):
            stack.enter_context(rundir.occupied(folder))
        params, resume = rundir.prepare(folder, params, resume=arguments.resume, overwrite=arguments.overwrite)
    except RunError:
        raise
    except OSError as error:
        raise ParameterError(f"--out {folder}: {error.strerror}") from None
    _check_machine(params, ranks, memory)
    if arguments.params is None:
        _check_space(params, folder)
    return params.to_toml(), folder, resume


def _resolved(params: "AnyParameters") -> "AnyParameters":
    """The parameters without references to other runs."""
    from mpiepm.core.params import FerreroParameters

    if not isinstance(params, FerreroParameters) or params.model.activity_from is None:
        return params
    from mpiepm.analysis.stationary import resolve_activity

    return resolve_activity(params)


def _check_machine(params: "AnyParameters", ranks: int, memory: int) -> None:
    """Is the lattice large enough for the ranks, and the memory of their nodes for the lattice?"""
    from mpiepm.engine.layout import LEAST_BYTES_PER_SITE, most_ranks

    size = list(params.lattice.size)
    if ranks > (most := most_ranks(params)):
        given = f"lattice.size = {size}, engine.name = {params.engine.name!r}"
        raise ParameterError(f"{given}: {ranks} ranks are too many, must be at most {most}")
    if (needed := size[0] * size[1] * LEAST_BYTES_PER_SITE) > memory:
        given = f"lattice.size = {size}: needs more than {needed / 1e9:.3g} GB of memory"
        raise ParameterError(f"{given}, must be at most {memory / 1e9:.3g} GB, which the nodes have")


def _check_space(params: "AnyParameters", folder: Path) -> None:
    from mpiepm.io import space

    if warning := space.check(params, folder):
        print(f"mpiepm: warning: {warning}", file=sys.stderr, flush=True)


def _simulate(text: str, folder: Path, resume: bool, quiet: bool, comm: "MPI.Intracomm", limits: Limits) -> bool:
    """Returns whether the run is finished."""
    from mpiepm.core.params import parse
    from mpiepm.io import rundir

    if resume and comm.bcast(rundir.is_finished(folder)):
        if comm.rank == 0:
            rundir.tidy(folder)  # it may have been killed between its archive and this
            print(f"{folder}: the run is finished, nothing to resume")
        return True
    params = parse(text)
    from mpiepm import simulation, watchdog
    from mpiepm.engine.layout import slabs
    from mpiepm.warmup import compile_in_turn

    compile_in_turn(comm, params)
    domain = slabs(params, comm)
    with watchdog.watching(domain, folder, watchdog.limit()):
        finished = simulation.run(domain, params, folder, resume=resume, quiet=quiet, limits=limits)
    if finished and comm.rank == 0 and not quiet:
        from mpiepm.analysis.table import summary

        print(summary([folder]))
    return finished


def _info(folder: Path | None) -> None:
    from mpiepm.io.provenance import software

    if folder is None:
        for name, version in software().items():
            print(f"{name:14s} {version}")
        return
    from mpiepm.analysis.describe import describe

    print(describe(folder))


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


def _analyse(arguments: argparse.Namespace) -> None:
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
    points = state_points(arguments.folders)
    print(tables(points))
    if arguments.save:
        result = labelled(points)
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
    from mpiepm.analysis.scaling_table import summary

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

    path = arguments.out or arguments.folder / f"{arguments.name}.png"
    if path.suffix not in _PICTURES:
        raise ParameterError(f"--out {path}: must end in {', '.join(_PICTURES)}")
    try:
        overview(arguments.folder, path)
    except OSError as error:
        raise ParameterError(f"--out {path}: cannot be written: {error.strerror or error}") from None
    print(path)


def _validate(arguments: argparse.Namespace, comm: "MPI.Intracomm") -> None:
    """Raises SystemExit, on all ranks, if a comparison fails."""
    from mpiepm import validation

    if not 0 <= arguments.seed < 2**63:
        raise ParameterError(f"--seed {arguments.seed}: must be at least 0 and below 2**63")
    if comm.rank == 0:
        print(validation.HEADER, flush=True)
    failed = 0
    for row in validation.rows(quick=arguments.quick, seed=arguments.seed):
        failed += not row.passed
        if comm.rank == 0:
            print(row, flush=True)
    if comm.rank == 0:
        print(f"{failed} failed" if failed else "all passed")
    if failed:
        sys.exit(FAILED)


def _dispatch(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> int:
    """Do what the command says; the exit code."""
    if arguments.command in ("run", "validate"):
        from mpi4py import MPI

        launch.check(comm.size, os.environ, MPI.Get_library_version().split(",")[0].strip("\0 \n"))
    if arguments.command == "run":
        return _run(arguments, comm, began)
    if arguments.command == "verify":
        return _on_root(comm, lambda: _verify(arguments.folders))
    if arguments.command == "campaign":
        from mpiepm.campaign import command

        return _on_root(comm, lambda: command.main(arguments))
    if arguments.command == "validate":
        _validate(arguments, comm)
    elif arguments.command == "analyse":
        _on_root(comm, lambda: _analyse(arguments))
    elif arguments.command == "scaling":
        _on_root(comm, lambda: _scaling(arguments))
    elif arguments.command == "theory":
        _on_root(comm, lambda: _theory(arguments))
    elif arguments.command == "figure":
        _on_root(comm, lambda: _figure(arguments))
    else:
        _on_root(comm, lambda: _info(arguments.folder))
    return FINISHED


def _say(error: Exception, comm: "MPI.Intracomm") -> None:
    """What all ranks know, by one of them."""
    if comm.rank == 0 and str(error):
        for line in str(error).splitlines():
            print(f"mpiepm: {line}", file=sys.stderr)
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point; never returns. An exception that nobody caught on one rank ends all ranks."""
    began = time.time()
    fault: ParameterError | None = None
    try:
        arguments = _parser().parse_args(argv)
    except ParameterError as error:
        fault = error
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    try:
        if fault:
            raise fault
        code = _dispatch(arguments, comm, began)
    except ParameterError as error:
        _say(error, comm)
        sys.exit(BAD_INPUT)
    except RunError as error:
        _say(error, comm)
        sys.exit(FAILED)
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
