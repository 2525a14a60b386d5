"""Cost of the end of a long run: seconds to join its journal to an archive, and the memory that this takes.

    mpirun -n P python benchmarks/archive.py [--entries 1000000] [--segments 100] [--length 64] [--folder DIR]

`entries` of nine series, as model "ferrero" records them, and a field in every segment. The memory is what all ranks
together take beyond what they had before.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from timing import COMM, timed

from mpiepm.grid.domain import Domain
from mpiepm.io.archive import Archive
from mpiepm.io.provenance import forget_memory, peak_memory
from mpiepm.observe.base import Variable, series

SERIES = tuple(series(f"s{k}", "f8", "1", "") for k in range(9))
FIELD = Variable("fields/stress", ("snapshot", "x", "y"), "f8", "1", "", distributed=True)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    a = parser.parse_args()
    domain = Domain((a.length, a.length))
    with tempfile.TemporaryDirectory(dir=a.folder) as name:
        archive = Archive(Path(COMM.bcast(name)), domain, (*SERIES, FIELD))
        slab = np.random.default_rng(COMM.rank).random(domain.local_shape)

        def record() -> None:
            for k in range(a.segments):
                for entry in range(a.entries * k // a.segments, a.entries * (k + 1) // a.segments):
                    for variable in SERIES:
                        archive.record(variable.name, entry)
                archive.record(FIELD.name, slab.copy())
                archive.flush()

        recording = timed(record)
        forget_memory()
        before = peak_memory(COMM)
        finishing = timed(lambda: archive.finish({}, {}))
        after = peak_memory(COMM)
        if COMM.rank == 0:
            size = (Path(name) / "archive.h5").stat().st_size
            print(f"{a.entries} entries in {a.segments} segments on {COMM.size} ranks, recorded in {recording:.1f} s")
            print(f"archive of {size / 1e6:.0f} MB in {finishing:.2f} s, {(after - before) / 1e6:.0f} MB of memory, all ranks")
        COMM.Barrier()


if __name__ == "__main__":
    main()
