"""Does the memory of a long run grow? Resident memory after a tenth of the steps against that at the end, for every engine.

    python benchmarks/memory.py [--steps 1e6] [CASE ...]

Steps are events, sweeps ("sweep") or time steps ("ferrero"). Every case runs in a process of its own, on a small lattice with
all observers, and writes journal and checkpoints forty times, as a long run does; memory is read after each time. What waits to
be written is a buffer: it goes at a checkpoint, and at 256 MB.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from mpiepm.engine.layout import slabs
from mpiepm.io import checkpoint
from mpiepm.io.archive import Archive
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation

WRITES = 40
EPMQ = ["model.temperature=0.1", "run.origins=1_000_000", "run.overlap=2", "run.origin_duration=300",
        "output={correlations={}, four_point={}, clusters={}, waiting_times=true, event_counts=true, snapshots=[1.0]}",
        "lattice.size=[24, 20]", "run.equilibrate={time=10}"]  # fmt: skip
CASES = {
    "sweep": [*EPMQ, "engine={name='sweep', window=1.0}", "output.avalanches={}"],
    "event": [*EPMQ, "engine.name=event", "output.avalanches={}"],
    "split": [*EPMQ, "engine={name='split', radius=4, strip=12}", "output.avalanches={}"],
    "auto": [*EPMQ, "engine.name=auto", "lattice.size=[64, 64]"],
    "extremal": [*EPMQ, "engine={name='event', dynamics='extremal'}", "model.temperature=0", "run.origin_duration=5000",
                 "output.avalanches={gaps=[], thresholds=[0.2]}", "output.lags.first=10"],
    "ferrero": ["model={name='ferrero', temperature=0.2}", "lattice.size=[24, 20]", "run={equilibrate={time=10}, duration=1e9}",
                "tracers={number=500, interval=10}", "output={event_counts=true, correlations={}}", "output.interval=10"],
}  # fmt: skip


def resident() -> int:
    """Memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure(case: str, steps: float) -> None:
    """Run a case in this process and print a line."""
    params = parse("", CASES[case])
    simulation = Simulation(slabs(params), params)
    variables = [variable for observer in simulation.observers for variable in observer.variables]
    state, memory = simulation.state, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = Archive(folder, simulation.domain, variables)
        for number in range(1, WRITES + 1):
            goal = steps * number / WRITES

            def done() -> float:
                if case == "sweep":
                    return state.origin_time + state.time
                return (state.origin_time + state.time) / 0.1 if case == "ferrero" else state.events

            while done() < goal:
                simulation.step(state.time + 1000.0, archive.record)
            archive.flush()
            checkpoint.write(folder, simulation.domain, number, simulation.parts, {})
            memory.append(resident())
    early, late = max(memory[: WRITES // 10]), memory[-1]
    print(f"{case:10s} {done():12.4g} {early / 2**20:10.1f} {late / 2**20:10.1f} {100 * (late / early - 1):8.2f} %", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*CASES, []], help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--steps", type=float, default=1e6)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.alone:
        measure(a.cases[0], a.steps)
        return
    print(f"{'case':10s} {'steps':>12s} {'early, MiB':>10s} {'late, MiB':>10s} {'growth':>8s}", flush=True)
    for case in a.cases or CASES:
        subprocess.run([sys.executable, __file__, "--alone", "--steps", str(a.steps), case], check=True)


if __name__ == "__main__":
    main()
