"""The command line: ``mpiepm run | campaign | analyse | scaling | figure | theory | validate | info``.

Exit codes: 0 done, 1 a fault on the way, 2 something the user wrote is wrong (nothing has been touched), 75 a run was ended by
a limit or a signal before it was finished: a checkpoint is written, continue it with --resume.
"""

import argparse
import math
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mpiepm import __version__
from mpiepm.campaign import arguments as campaign_arguments
from mpiepm.core.exits import BAD_INPUT, FAILED, FINISHED, UNFINISHED
from mpiepm.core.limits import Limits, duration, end_of_job
from mpiepm.core.params import ParameterError

if TYPE_CHECKING:
    from mpi4py import MPI

    from mpiepm.core.params import AnyParameters


_EXAMPLES = """\
examples:
  mpiepm run params.toml --out results/first
  mpirun -n 4 mpiepm run params.toml --out results/cold --set model.temperature=0.02 --set lattice.size=[512,512]
  mpirun -n 2 mpiepm run --out results/cold --resume
  mpiepm analyse results/first results/second
  mpiepm figure overview results/first --out first.png
"""


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="mpiepm", formatter_class=raw, epilog=_EXAMPLES,
        description="Thermal elastoplastic models on a 2D lattice, distributed over MPI ranks.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"mpiepm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser(
        "run", help="run a simulation", formatter_class=raw, epilog=_EXAMPLES,
        description="Run the simulation of a parameter file. Start it with mpirun for more than one rank.",
    )  # fmt: skip
    run.add_argument("params", type=Path, nargs="?", help="parameter file (TOML); not needed with --resume")
    run.add_argument("--out", type=Path, metavar="DIR", help="run directory (default: results/NAME of NAME.toml)")
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
    analyse.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="runs of any state points and seeds")
    analyse.add_argument("--save", type=Path, action="append", default=[], metavar="FILE",
                         help="the numbers as .csv, or everything as .nc or .h5 for xarray; may be repeated")  # fmt: skip

    sizes = commands.add_parser(
        "scaling", help="finite-size scaling: is the lattice large enough, do all sizes collapse?",
        description="Runs at several sizes and temperatures: tau_alpha and the chi4 peak from one size to the next, with "
        "errors, and L against xi_4; then data collapses with their exponents and quality. See docs/scaling.md.",
    )  # fmt: skip
    sizes.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="runs of any sizes, temperatures and seeds")

    figure = commands.add_parser("figure", help="draw a figure from an archive")
    figure.add_argument("name", choices=["overview"], help="overview: P(t), chi4(t), P(sigma) and a mobility map")
    figure.add_argument("folder", type=Path, metavar="DIR")
    figure.add_argument("--out", type=Path, metavar="FILE", help="default: DIR/NAME.png")

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

    info = commands.add_parser("info", help="versions, MPI, HDF5; or what a run directory holds")
    info.add_argument("folder", type=Path, nargs="?", metavar="DIR")
    return parser


def _run(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> None:
    """Raises SystemExit, on all ranks, if the run is not finished."""
    limits = Limits()
    with limits.listening(), ExitStack() as stack:
        outcome: object = None
        if comm.rank == 0:
            try:
                given = began + duration(arguments.walltime) if arguments.walltime else math.inf
                limits.deadline = min(given, end_of_job())
                outcome = _prepare(arguments, comm.size, stack)
            except ParameterError as error:
                outcome = error
        outcome = comm.bcast(outcome)
        if isinstance(outcome, ParameterError):
            raise outcome
        assert isinstance(outcome, tuple)
        text, folder, resume = outcome
        finished = _simulate(text, folder, resume, arguments.quiet, comm, limits)
    if not finished:
        sys.exit(UNFINISHED)


def _prepare(arguments: argparse.Namespace, ranks: int, stack: ExitStack) -> tuple[str, Path, bool]:
    """Parameters, run directory (held until the end of `stack`), and whether to resume; on one rank."""
    from mpiepm.core.params import load
    from mpiepm.io import rundir

    folder = arguments.out
    if folder is None and arguments.params is None:
        raise ParameterError("mpiepm run: give a parameter file, or --out DIR --resume")
    folder = folder or Path("results") / arguments.params.stem
    params = load(arguments.params, arguments.overrides) if arguments.params else None
    if params is None and arguments.overrides:
        raise ParameterError("--set: needs a parameter file")
    if params is not None:
        params = _resolved(params)
        _check_ranks(params, ranks)
    if not (arguments.resume and rundir.is_finished(folder)):
        stack.enter_context(rundir.occupied(folder))
    params, resume = rundir.prepare(folder, params, resume=arguments.resume, overwrite=arguments.overwrite)
    _check_ranks(params, ranks)
    return params.to_toml(), folder, resume


def _resolved(params: "AnyParameters") -> "AnyParameters":
    """The parameters without references to other runs."""
    from mpiepm.core.params import FerreroParameters

    if not isinstance(params, FerreroParameters) or params.model.activity_from is None:
        return params
    from mpiepm.analysis.stationary import resolve_activity

    return resolve_activity(params)


def _check_ranks(params: "AnyParameters", ranks: int) -> None:
    from mpiepm.engine.layout import most_ranks

    if ranks > (most := most_ranks(params)):
        given = f"lattice.size = {list(params.lattice.size)}, engine.name = {params.engine.name!r}"
        raise ParameterError(f"{given}: {ranks} ranks are too many, must be at most {most}")


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
    from mpiepm import simulation
    from mpiepm.engine.layout import slabs
    from mpiepm.warmup import compile_in_turn

    compile_in_turn(comm, params)
    finished = simulation.run(slabs(params, comm), params, folder, resume=resume, quiet=quiet, limits=limits)
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
    from mpiepm.analysis.table import describe

    print(describe(folder))


def _analyse(arguments: argparse.Namespace) -> None:
    from mpiepm.analysis.table import summary

    for path in arguments.save:
        if path.suffix not in (".csv", ".nc", ".h5"):
            raise ParameterError(f"--save {path}: must end in .csv, .nc or .h5")
    print(summary(arguments.folders))
    if arguments.save:
        from mpiepm.analysis.results import analyse, save

        result = analyse(arguments.folders)
        for path in arguments.save:
            try:
                save(result, path)
            except OSError as error:
                raise ParameterError(f"--save {path}: cannot be written: {error}") from None


def _theory(arguments: argparse.Namespace) -> None:
    from mpiepm.physics.eshelby import exact_kernels
    from mpiepm.theory.mean_field import coupling, coupling_of_edge
    from mpiepm.theory.report import relaxation_report, report
    from mpiepm.theory.stationary import LOWEST_TEMPERATURE

    for temperature in arguments.temperatures:
        if not LOWEST_TEMPERATURE <= temperature < float("inf"):
            raise ParameterError(f"T = {temperature:g}: must be at least {LOWEST_TEMPERATURE:g}")
    if arguments.length < 8:
        raise ParameterError(f"--length {arguments.length}: must be at least 8")
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
    overview(arguments.folder, path)
    print(path)


def _validate(arguments: argparse.Namespace, comm: "MPI.Intracomm") -> None:
    """Raises SystemExit, on all ranks, if a comparison fails."""
    from mpiepm import validation

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


def _dispatch(arguments: argparse.Namespace, comm: "MPI.Intracomm", began: float) -> None:
    if arguments.command == "run":
        _run(arguments, comm, began)
    elif arguments.command == "validate":
        _validate(arguments, comm)
    elif comm.rank == 0:
        if arguments.command == "analyse":
            _analyse(arguments)
        elif arguments.command == "scaling":
            from mpiepm.analysis.scaling_table import summary

            print(summary(arguments.folders))
        elif arguments.command == "theory":
            _theory(arguments)
        elif arguments.command == "figure":
            _figure(arguments)
        elif arguments.command == "campaign":
            from mpiepm.campaign import command

            if code := command.main(arguments):
                sys.exit(code)
        else:
            _info(arguments.folder)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point; never returns. An exception that nobody caught on one rank ends all ranks."""
    began = time.time()
    arguments = _parser().parse_args(argv)
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    try:
        _dispatch(arguments, comm, began)
    except ParameterError as error:
        if comm.rank == 0:
            print(f"mpiepm: {error}", file=sys.stderr)
        sys.stderr.flush()
        sys.exit(BAD_INPUT)
    except SystemExit:
        raise
    except BaseException:
        print(f"mpiepm: rank {comm.rank} of {comm.size} failed:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        if comm.size > 1:
            comm.Abort(FAILED)
        sys.exit(FAILED)
    sys.exit(FINISHED)
