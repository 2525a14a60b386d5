"""Peak memory of short runs against its forecast and its lower bound (`mpiepm.io.memory`), for every engine.

    python benchmarks/memory_forecast.py [--ranks 1 2] [CASE ...]

Each case runs at two sizes on each number of ranks; peaks are those that the archive tells, all ranks together. The ratio to
the forecast should be at most about 1, that to the lower bound must be above 1. The last column is what a site takes, if the
process itself takes 300 MB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py

ENVIRONMENT = dict(os.environ)  # before MPI puts into it what belongs to this process

from mpiepm.io.memory import forecast, least  # noqa: E402
from mpiepm.models.parameters import parse  # noqa: E402

EPMQ = ["model.temperature=0.1", "run={origins=1, origin_duration=0.5, equilibrate={time=0.5}}"]
FERRERO = ["model={name='ferrero', temperature=0.2}", "run={equilibrate={time=1}, duration=2}"]
CASES = {  # sides of the two lattices, overrides
    "sweep": ((512, 2048), [*EPMQ, "engine={name='sweep'}"]),
    "sweep-single": ((512, 2048), [*EPMQ, "engine={name='sweep', precision='single'}"]),
    "sweep-16": ((512, 1024), [*EPMQ, "engine={name='sweep', harmonics=16}"]),
    "event": ((256, 768), [*EPMQ, "engine.name=event", "run={origins=1, origin_duration=0.02, equilibrate={time=0.02}}"]),
    "extremal": ((256, 768), ["model.temperature=0", "engine={name='event', dynamics='extremal'}",
                              "run={origins=1, origin_duration=100, equilibrate={time=100}}"]),
    "split": ((512, 2048), [*EPMQ, "engine.name=split"]),
    "split-64": ((512, 1024), [*EPMQ, "engine={name='split', radius=64, strip=128}"]),
    "auto": ((512, 1024), [*EPMQ, "engine.name=auto"]),
    "isolated": ((512, 2048), [*EPMQ, "engine.name=sweep", "model.elasticity=false"]),
    "step": ((512, 2048), FERRERO),
    "step-tracers": ((512, 2048), [*FERRERO, "tracers={number=1_000_000, interval=1}"]),
    "observers": ((512, 2048), [*EPMQ, "engine={name='sweep'}", "run.overlap=4",
                                "output={correlations={}, four_point={}, clusters={}, waiting_times=true, event_counts=true}"]),
}  # fmt: skip


def measure(case: str, side: int, ranks: int) -> None:
    """Print a line."""
    overrides = [f"lattice.size=[{side}, {side + 16}]", *CASES[case][1]]
    params = parse("", overrides)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "params.toml"
        file.write_text(params.to_toml())
        command = [sys.executable, "-m", "mpiepm", "run", str(file), "--out", f"{name}/run", "--quiet"]
        subprocess.run(["mpirun", "-n", str(ranks), *command] if ranks > 1 else command, check=True, env=ENVIRONMENT)
        with h5py.File(f"{name}/run/archive.h5") as archive:
            peak = json.loads(archive.attrs["provenance"])[-1]["memory"]
    likely, certain = sum(forecast(params, ranks)), sum(least(params, ranks))
    numbers = f"{peak / 1e9:10.3f} {likely / 1e9:10.3f} {peak / likely:8.2f} {peak / certain:12.2f}"
    print(f"{case:14s} {side:6d} {ranks:6d} {numbers} {(peak - ranks * 300e6) / (side * (side + 16)):12.1f}", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*CASES, []], help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    a = parser.parse_args()
    head = f"{'case':14s} {'side':>6s} {'ranks':>6s} {'peak, GB':>10s} {'forecast':>10s} {'ratio':>8s} {'over bound':>12s}"
    print(f"{head} {'B/site':>12s}")
    for case in a.cases or CASES:
        for side in CASES[case][0]:
            for ranks in a.ranks:
                measure(case, side, ranks)


if __name__ == "__main__":
    main()
