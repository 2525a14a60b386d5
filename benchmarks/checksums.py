"""Cost of the checksums of a file: seconds to write it, to seal it, and to compare all of it before reading.

    mpirun -n P python benchmarks/checksums.py [--length 2048] [--fields 8] [--folder DIR]

`fields` fields of double precision, as a checkpoint has them, or an archive its maps. A checkpoint a minute costs a run
(seal / 60 s) of its time.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from timing import COMM, timed

from mpiepm.grid.domain import Domain
from mpiepm.io import checksum, hdf5

ROUNDS = 5


def main() -> None:
    """Print the least of some rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--folder", type=Path)
    a = parser.parse_args()
    domain = Domain((a.length, a.length))
    slab = np.random.default_rng(COMM.rank).random(domain.local_shape)
    datasets = {"fields/a": hdf5.Dataset(("snapshot", "x", "y"), slabs=[slab] * a.fields, dtype="f8")}
    with tempfile.TemporaryDirectory(dir=a.folder) as name:
        path = Path(COMM.bcast(name)) / "file.h5"
        seal = checksum.seal
        sealing: list[float] = []
        checksum.seal = lambda *arguments: sealing.append(timed(partial(seal, *arguments)))
        whole = [timed(lambda: hdf5.write(path, domain, datasets, {})) for _ in range(ROUNDS)]
        if COMM.rank == 0:
            compare = min(timed_alone(path) for _ in range(ROUNDS))
            size = path.stat().st_size / 1e6
            print(f"{size:.0f} MB on {COMM.size} ranks: write, sync and seal {min(whole):.3f} s, of which seal "
                  f"{min(sealing):.3f} s ({100 * min(sealing) / 60:.2f} % of a minute); compare {compare:.3f} s")  # fmt: skip
        COMM.Barrier()


def timed_alone(path: Path) -> float:
    """Seconds to compare a file on one rank."""
    start = time.perf_counter()
    sums = checksum.read(path)
    assert sums
    assert not checksum.damaged(path, sums)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
