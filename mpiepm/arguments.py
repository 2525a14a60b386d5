"""What ``mpiepm`` may be called with; apart from what it does, which takes a second to import."""

import argparse
import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

from mpiepm import __version__
from mpiepm.campaign import arguments as campaign
from mpiepm.core.faults import ParameterError

_EXAMPLES = """\
examples:
  mpiepm run params.toml --out results/first
  mpirun -n 4 mpiepm run params.toml --out results/cold --set model.temperature=0.02 --set lattice.size=[512,512]
  mpirun -n 2 mpiepm run --out results/cold --resume
  mpiepm run --out results/first --resume --set run.origins=40
  mpiepm analyse results/first results/second
  mpiepm figure results/first --out first.png
"""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line as everything else does: once, whatever the number of ranks."""

    def error(self, message: str) -> NoReturn:
        if match := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            given, choices = match[1], re.findall(r"[\w-]+", match[2])
            near = difflib.get_close_matches(given, choices, n=1)
            if given.endswith(".toml") and "run" in choices:
                near = [f"{self.prog} run {given}"]
            if near:
                raise ParameterError(f"invalid choice: {given!r}; did you mean {near[0]}? See {self.prog} --help")
        raise ParameterError(f"{message}; see {self.prog} --help")


class _Overrides(argparse.Action):
    """Collects ``KEY=VALUE``; raises ParameterError for one without "=", before what follows it is taken for a file."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        if "=" not in values:
            raise ParameterError(f"--set {values}: must be section.key=value, such as model.temperature=0.02")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(text)


def parser() -> argparse.ArgumentParser:
    """Everything that the command line understands."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser(
        prog="mpiepm", formatter_class=raw, epilog=_EXAMPLES,
        description="Thermal elastoplastic models on a 2D lattice, distributed over MPI ranks.",
    )  # fmt: skip
    top.add_argument("--version", action="version", version=f"mpiepm {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    run = commands.add_parser(
        "run", help="run a simulation", formatter_class=raw, epilog=_EXAMPLES,
        description="Run the simulation of a parameter file. Start it with mpirun for more than one rank.",
    )  # fmt: skip
    run.add_argument("params", type=_path, nargs="?",
                     help="parameter file (TOML); not needed with --resume, where --set changes what the run has")  # fmt: skip
    run.add_argument("--out", type=_path, metavar="DIR", help="run directory (default: results/NAME of NAME.toml)")
    run.add_argument("--set", action=_Overrides, default=[], metavar="KEY=VALUE", dest="overrides",
                     help="override a parameter by its dotted name; may be repeated")  # fmt: skip
    run.add_argument("--import", type=_path, action="append", default=[], metavar="FILE", dest="imports",
                     help="Python file with a model or observer of your own; kept with the parameters; may be repeated")
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--resume", action="store_true",
                      help="continue from the newest checkpoint in DIR, or make a finished run longer")  # fmt: skip
    mode.add_argument("--overwrite", action="store_true", help="drop the run that DIR holds")
    run.add_argument("--walltime", metavar="TIME",
                     help="end in time, with a checkpoint and exit code 75: 90s, 30m, 24h, 2d, HH:MM:SS, D-HH:MM:SS; in a "
                     "Slurm job its limit counts as well")  # fmt: skip
    run.add_argument("--quiet", action="store_true", help="no progress line, no table at the end")

    compiler = commands.add_parser(
        "compile", help="compile what runs need, before many of them start at once",
        description="Compile everything that runs with these parameters need, once. Processes that start together with "
        "an empty cache of compiled code would all compile the same.",
    )  # fmt: skip
    compiler.add_argument("params", type=_path, nargs="+", metavar="PARAMS", help="parameter files (TOML)")

    analyse = commands.add_parser(
        "analyse", help="relaxation times, chi4 peak, yield rate, correlation length",
        description="What runs measured, unfinished ones so far, averaged over origins and over the seeds of each state point, "
        "with errors that account for the correlation of origins.",
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
    figure.add_argument("name", nargs="?", choices=["overview"], default="overview",
                        help="overview (default): P(t), chi4(t), P(sigma) and a mobility map")  # fmt: skip
    figure.add_argument("folder", type=_path, metavar="DIR")
    figure.add_argument("--out", type=_path, metavar="FILE", help="default: DIR/NAME.png")

    validate = commands.add_parser(
        "validate", help="the engines against closed forms and against each other",
        description="Engines against closed forms (without elasticity) and against each other at common state points. Exit "
        "code 1 if any comparison fails. With --quick 80 s; without, the nine temperatures of Ozawa & Biroli at L = 64, an "
        "hour.",
    )  # fmt: skip
    validate.add_argument("--quick", action="store_true", help="small lattices, three temperatures: 0.2, 0.1, 0.06")
    validate.add_argument("--seed", type=int, default=1, help="of all runs (default: 1)")
    validate.add_argument("temperatures", type=float, nargs="*", metavar="T", help="only the comparisons at these temperatures")

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

    campaign.add_parser(commands)
    verify = commands.add_parser(
        "verify", help="is everything in a run directory what was written, and does it fit together?",
        description="Checks structure, checksums and contents of runs, finished or not: one line for each finding. Exit code 1 "
        "if there are any.",
    )  # fmt: skip
    verify.add_argument("folders", type=_path, nargs="+", metavar="DIR", help="run directories")

    doctor = commands.add_parser(
        "doctor", help="can this machine do what a run needs? A line for each check, with a remedy",
        description="Starts ranks, lets them write a file together, tries locks, fsync, the cache of compiled functions and "
        "Slurm. Exit code 1 if a check has failed.",
    )  # fmt: skip
    doctor.add_argument("folder", type=_path, nargs="?", default=Path(), metavar="DIR",
                        help="where runs are to be written (default: here)")  # fmt: skip
    doctor.add_argument("--launcher", default="mpirun", help='what starts ranks (default: mpirun), as "srun --mpi=pmix"')
    doctor.add_argument("--ranks", type=int, default=2, help="how many are tried (default: 2)")

    info = commands.add_parser("info", help="versions, MPI, HDF5; or what a run directory holds")
    info.add_argument("folder", type=_path, nargs="?", metavar="DIR")
    return top
