"""Transform pair (forward + backward): ours beside mpi4py-fft's PFFT and raw FFTW-MPI, in one run.

    python benchmarks/transforms.py [--sizes 1024 2048 4096] [--ranks 1 2] [--planning reproducible measured]

Needs mpirun, a C compiler and FFTW-MPI (Debian: libfftw3-mpi-dev). Prints one Markdown row for each case: median
milliseconds of a pair. The three programs take turns, `--rounds` times, so that a drift of the machine hits all.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
FFTW_NAME = {"reproducible": "estimated", "measured": "measured"}


def pair_times(kind: str, size: int, precision: str, planning: str, repeats: int) -> float:
    """Median milliseconds of forward + backward on this communicator."""
    import numpy as np
    from mpi4py import MPI

    if kind == "ours":
        from mpiepm.grid.domain import Domain
        from mpiepm.grid.fft import Transform

        transform = Transform(Domain((size, size)), precision, planning)
        field, spectrum = transform.empty(), transform.empty_spectrum()

        def pair() -> None:
            transform.forward(field, spectrum)
            transform.backward(spectrum, field)
    else:
        from mpi4py_fft import PFFT, newDistArray

        effort = "FFTW_ESTIMATE" if planning == "reproducible" else "FFTW_MEASURE"
        fft = PFFT(
            MPI.COMM_WORLD, (size, size), dtype="d" if precision == "double" else "f", slab=True,
            backend="fftw", planner_effort=effort,
        )  # fmt: skip
        field, spectrum = newDistArray(fft, False), newDistArray(fft, True)

        def pair() -> None:
            fft.forward(field, spectrum, normalize=False)
            fft.backward(spectrum, field)

    times = []
    values = np.random.default_rng(MPI.COMM_WORLD.rank).random(field.shape)
    for _ in range(repeats + 2):
        field[:] = values
        MPI.COMM_WORLD.Barrier()
        start = time.perf_counter()
        pair()
        MPI.COMM_WORLD.Barrier()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[2:])


def compile_fftw_mpi(folder: Path) -> dict[str, str]:
    """Path of the compiled C program for each precision."""
    programs = {}
    for precision, flags in (("double", ["-lfftw3_mpi", "-lfftw3"]), ("single", ["-DSINGLE", "-lfftw3f_mpi", "-lfftw3f"])):
        programs[precision] = str(folder / f"fftw_mpi_{precision}")
        subprocess.run(
            ["mpicc", "-O3", "-o", programs[precision], str(HERE / "fftw_mpi.c"), *flags, "-lm"], check=True
        )
    return programs


def main() -> None:
    """Run the table, or, as a child under mpirun, one case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["double", "single"])
    parser.add_argument("--planning", nargs="+", default=["reproducible", "measured"])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=["ours", "pfft"], help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        from mpi4py import MPI

        result = pair_times(a.one, a.sizes[0], a.precision[0], a.planning[0], a.repeats)
        if MPI.COMM_WORLD.rank == 0:
            print(result)
        return

    print("| precision | planning | L | ranks | ours | PFFT | FFTW-MPI | ours / FFTW-MPI | ours / PFFT |\n|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as folder:
        programs = compile_fftw_mpi(Path(folder))
        for precision in a.precision:
            for planning in a.planning:
                for size in a.sizes:
                    for ranks in a.ranks:
                        options = ["--sizes", str(size), "--precision", precision, "--planning", planning]
                        child = [sys.executable, __file__, *options, "--repeats", str(a.repeats)]
                        commands = {
                            "ours": [*child, "--one", "ours"],
                            "pfft": [*child, "--one", "pfft"],
                            "raw": [programs[precision], str(size), FFTW_NAME[planning], str(a.repeats)],
                        }
                        times: dict[str, list[float]] = {name: [] for name in commands}
                        for _ in range(a.rounds):
                            for name, command in commands.items():
                                run = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
                                output = subprocess.run(
                                    run, check=True, capture_output=True, text=True, env=ENVIRONMENT
                                ).stdout
                                times[name].append(float(output))
                        ours, pfft, raw = (statistics.median(times[name]) for name in ("ours", "pfft", "raw"))
                        print(
                            f"| {precision} | {planning} | {size} | {ranks} | {ours:.1f} | {pfft:.1f} | {raw:.1f} "
                            f"| {ours / raw:.2f} | {ours / pfft:.2f} |",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
