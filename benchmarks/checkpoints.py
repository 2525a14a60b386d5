"""Cost of a checkpoint every minute, as a share of the run time: what waits for the archive, the fields, checksums, syncs.

    mpirun -n P python benchmarks/checkpoints.py [--length 2048] [--folder DIR]

Seconds are the median of some rounds on the slowest rank. With all observers, whose fields are in the files.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from timing import COMM, timed

from mpiepm.engine.layout import slabs
from mpiepm.io import checkpoint, checksum
from mpiepm.io.archive import Archive
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

ROUNDS = 5
MINUTE = 60.0
EPMQ = ["model.temperature=0.03", "run.equilibrate={time=1e9}", "run.origin_duration=1e9",
        "output={correlations={}, four_point={}, clusters={}, waiting_times=true, event_counts=true}"]  # fmt: skip
CASES = {
    "sweep": [*EPMQ, "engine.name=sweep"],
    "split": [*EPMQ, "engine.name=split"],
    "ferrero": ["model={name='ferrero', temperature=0.1}", "run={equilibrate={time=1e9}, duration=1e9}",
                "tracers={number=4096, interval=10}", "output={event_counts=true, correlations={}}"],
}  # fmt: skip


def measure(case: str, length: int, folder: Path) -> tuple[float, float, int]:
    """Median seconds of a checkpoint after some steps and of its seal alone, and its bytes."""
    params = parse("", [f"lattice.size=[{length}, {length}]", *CASES[case]])
    simulation = Simulation(slabs(params), params)
    archive = Archive(folder, simulation.domain, [v for o in simulation.observers for v in o.variables])

    def save(number: int) -> None:
        archive.flush()
        checkpoint.write(folder, simulation.domain, number, simulation.parts, {})

    seconds, seals, size = [], [], 0
    for number in range(1, ROUNDS + 1):
        simulation.step(simulation.state.time + 0.1, archive.record)
        seconds.append(timed(lambda number=number: save(number)))  # type: ignore[misc]
        newest, copy = checkpoint.existing(folder)[0], folder / "copy"
        size = newest.stat().st_size
        if COMM.rank == 0:
            content = newest.read_bytes()
            sums = checksum.read(newest)
            assert sums is not None
            copy.write_bytes(content[: sums.size])
        COMM.Barrier()
        seals.append(timed(lambda copy=copy: checksum.seal(copy, simulation.domain)))  # type: ignore[misc]
    return statistics.median(seconds), statistics.median(seals), size


def main() -> None:
    """Print a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--folder", type=Path, help="on the disk in question; default: the temporary folder")
    a = parser.parse_args()
    if COMM.rank == 0:
        print(f"L = {a.length}, {COMM.size} ranks")
    for case in CASES:
        name = COMM.bcast(tempfile.mkdtemp(dir=a.folder) if COMM.rank == 0 else None)
        seconds, seal, size = measure(case, a.length, Path(name))
        if COMM.rank == 0:
            share, sealing = (100 * s / MINUTE for s in (seconds, seal))
            print(f"{case:8s} {size / 1e6:4.0f} MB {seconds:6.3f} s: {share:.2f} % of a minute, seal {sealing:.2f}", flush=True)
            for path in sorted(Path(name).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            Path(name).rmdir()


if __name__ == "__main__":
    main()
