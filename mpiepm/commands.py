"""What the commands other than ``run`` do. Those of `ON_ONE` are for one process: arguments in, exit code or None (0) out.

Each imports what it needs: a command is quick to start.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mpiepm.core.exits import FAILED, FINISHED
from mpiepm.core.faults import ParameterError

if TYPE_CHECKING:
    from mpi4py import MPI

_PICTURES = (".png", ".pdf", ".svg")


def _info(arguments: argparse.Namespace) -> None:
    from mpiepm.io.provenance import software

    if arguments.folder is None:
        for name, version in software().items():
            print(f"{name:14s} {version}")
        return
    from mpiepm.analysis.describe import describe

    print(describe(arguments.folder))


def _verify(arguments: argparse.Namespace) -> int:
    from mpiepm.analysis.verify import verify
    from mpiepm.io.rundir import require_run

    for folder in arguments.folders:
        require_run(folder)
    findings = 0
    for folder in arguments.folders:
        report = verify(folder)
        findings += len(report.findings)
        print(report, flush=True)
    return FAILED if findings else FINISHED


def _compile(arguments: argparse.Namespace) -> None:
    from mpiepm.models.parameters import load
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
    from mpiepm.kernels.eshelby import exact_kernels
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


def _doctor(arguments: argparse.Namespace) -> int:
    from mpiepm.doctor import examine

    if not arguments.folder.is_dir():
        raise ParameterError(f"DIR {arguments.folder}: is no directory")
    if not 1 <= arguments.ranks <= 4096:
        raise ParameterError(f"--ranks {arguments.ranks}: must be at least 1 and at most 4096")
    failed = False
    for finding in examine(arguments.folder, arguments.launcher, arguments.ranks):
        print(finding, flush=True)
        failed = failed or finding.verdict == "failed"
    return FAILED if failed else FINISHED


def _campaign(arguments: argparse.Namespace) -> int:
    from mpiepm.campaign import command

    return command.main(arguments)


ON_ONE: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "analyse": _analyse, "campaign": _campaign, "compile": _compile, "doctor": _doctor, "figure": _figure, "info": _info,
    "scaling": _scaling, "theory": _theory, "verify": _verify,
}  # fmt: skip


def validate(arguments: argparse.Namespace, comm: "MPI.Intracomm") -> int:
    """The engines against closed forms and each other; the exit code. Collective."""
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
    return FAILED if failed else FINISHED
