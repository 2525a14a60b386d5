"""What the campaign layer costs: a campaign of 1000 points planned, and asked for its status.

    python benchmarks/campaign.py [--points 1000] [--repeats 3] [--run]

Time of the whole commands `mpiepm campaign plan` and `status`, from the start of Python to the end of the table: the shortest
wall time, and user and system time of the same, which other work on the machine does not lengthen as much. First with no
run directory there, then with all of them planted, as `submit` does it; then with their lattices renamed in the file, so that
every run must be found by its parameters. With --run all are run in between (16 x 16 sites, a few minutes), and are found
finished.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mpiepm.campaign import grid
from mpiepm.io import rundir

FILE = """
[base]
run.equilibrate = { events_per_site = 1 }
run.origins = "= max(2, ceil(512 / L ** 2))"
run.origin_events_per_site = { by = "T", "< 0.05" = 0.5, else = 1 }
engine.name = { by = "L", "<= 20" = "event", else = "sweep" }
[resources]
ranks = { by = "L", ">= 1024" = 2, else = 1 }
walltime = "= max(1, L / 64)"
[[grid]]
over = { L = [16, 18, 20, 22, 24], T = [0.1, 0.09, 0.08, 0.07, 0.06, 0.055, 0.05, 0.048, 0.045, 0.04], seed = SEEDS }
"""


def cost(action: str, file: Path, out: Path, repeats: int) -> None:
    """Print wall and CPU seconds of a command, the shortest of each."""
    command = [sys.executable, "-m", "mpiepm", "campaign", action, str(file), "--out", str(out)]
    walls, works, told = [], [], ""
    for _ in range(repeats):
        before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        walls.append(time.perf_counter() - clock)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        works.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    found = next(line.split(": ", 1)[1] for line in told.splitlines() if f" runs in {out}: " in line)
    print(f"  {action:6s}  wall {min(walls):.2f} s, CPU {min(works):.2f} s  ({found})", flush=True)


def main() -> None:
    """Print a block for each state of the run directories."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1000, help="a multiple of 50")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, renamed, out = Path(folder) / "campaign.toml", Path(folder) / "renamed.toml", Path(folder) / "out"
        text = FILE.replace("SEEDS", str(a.points // 50))
        file.write_text(text)
        renamed.write_text(text.replace("[[grid]]", '[[grid]]\nname = "moved"'))

        def block(title: str, of: Path) -> None:
            print(title)
            for action in ("plan", "status"):
                cost(action, of, out, a.repeats)

        block("no run directories", file)
        points = grid.read(file, out).points
        for point in points:
            rundir.plant(point.folder, point.params)
        block(f"{len(points)} run directories", file)
        if a.run:
            subprocess.run([sys.executable, "-m", "mpiepm", "campaign", "run", str(file), "--out", str(out)],
                           check=True, capture_output=True)  # fmt: skip
            block(f"{len(points)} finished runs", file)
        block(f"{len(points)} run directories under another name", renamed)


if __name__ == "__main__":
    main()
