"""All checks: `run/test.sh` sets up and starts this program.

    python tests/suite.py [PART ...]        some parts only; -h lists them

Parts of one stage run beside each other, stages one after the other. Every part runs, whatever became of those before it.
The last lines say what failed, what was skipped and why, how long each part took, and how many tests passed and failed.
The exit code is 0 only if every part passed.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 3600.0  # seconds: a part that takes longer hangs
SLURM = "tests/system/test_slurm.py"
PYTEST = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
SUMMARY = re.compile(r"(\d+) (passed|failed|error|skipped)")
# Only rank 0 speaks; the other ranks write files, which are shown if the part fails.
ONE_VOICE = """
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
if [ "$rank" = 0 ]; then exec "$@"; else exec "$@" >"$TMPDIR/rank-$rank.log" 2>&1; fi
"""


@dataclass
class Part:
    """A command and what came of it."""

    name: str
    command: list[str]
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)
    code: int = -1
    seconds: float = 0.0

    def run(self, folder: Path) -> None:
        """Run to the end; every line of it is printed with the name in front."""
        began, place = time.monotonic(), folder / self.name.replace(" ", "-")
        place.mkdir()
        environment = {**os.environ, "TMPDIR": str(place), "PYTHONPYCACHEPREFIX": str(folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it makes every start of a program slower by a fifth
        self.process = process = subprocess.Popen(
            self.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        assert process.stdout is not None
        too_long = threading.Timer(LONGEST, self.kill)
        too_long.start()
        try:
            for line in process.stdout:
                self.lines.append(line.rstrip())
                print(f"{self.name:>12s} | {self.lines[-1]}", flush=True)
            self.code = process.wait()
        finally:
            too_long.cancel()
        self.seconds = time.monotonic() - began
        if self.code:
            for log in sorted(place.glob("rank-*.log")):
                for line in log.read_text(errors="replace").splitlines():
                    print(f"{self.name:>12s} | {log.stem}: {line}")

    def kill(self) -> None:
        """End it with all that it has started, if it runs."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def counts(self) -> Counter[str]:
        """Tests by their outcome; a part that ended before it counted any is one test."""
        ends = [line for line in self.lines if re.search(r"\d+ (passed|failed|skipped|error).* in [\d.]+s", line)]
        found = Counter({what: int(number) for number, what in SUMMARY.findall(ends[-1])}) if ends else Counter()
        found["failed"] += found.pop("error", 0)
        if self.code and not found["failed"]:
            found["failed"] = 1
        elif not ends:
            found["skipped" if self.notable() else "passed"] = 1
        return found

    def notable(self) -> list[str]:
        """What failed or was skipped, in pytest's words."""
        told = [line for line in self.lines if re.match(r"(FAILED|ERROR|SKIPPED) ", line)]
        if self.code and not any(line.startswith(("FAILED", "ERROR")) for line in told):
            last = next((line for line in reversed(self.lines) if line), "it said nothing")
            told.append(f"FAILED exit code {self.code}: {last}")
        return told


def on_ranks(ranks: int, *tests: str) -> list[str]:
    """The tests marked parallel on so many ranks."""
    return ["mpirun", "-n", str(ranks), "bash", "-c", ONE_VOICE, "bash", *PYTEST, *tests]


def stages() -> list[list[list[Part]]]:
    """Stages one after the other, each of lanes beside each other, each of parts one after the other."""
    few = [*(f"tests/parallel/test_{what}.py" for what in ("grid", "files", "kernel_sum")), "-k", "grid or files or event"]
    apart = (f"--ignore={SLURM}", "--durations=8")
    main_job = """
        ./run/quickstart.sh "$TMPDIR/run" --set 'lattice.size=[64, 64]' --set model.temperature=0.06
        test -s "$TMPDIR/run/archive.h5" -a -s "$TMPDIR/run/overview.png"
    """
    return [
        [
            [Part("compile", ["python", "tests/compile_all.py"])],
            [Part("ruff", ["ruff", "check", "."]), Part("mypy", ["mypy"])],
        ],
        [
            [Part("one rank", [*PYTEST, *apart, "-m", "not mpirun", "-n", "2", "--dist", "worksteal"])],
            [Part("slurm", [*PYTEST, SLURM])],
        ],
        [  # ranks that wait for each other are slow beside other work
            [
                Part("runs", [*PYTEST, *apart, "-m", "mpirun"]),
                *(Part(f"{ranks} ranks", on_ranks(ranks, "tests/parallel")) for ranks in (2, 3, 4)),
                *(Part(name, ["tests/other_mpi.sh", name, *on_ranks(2, *few)]) for name in ("mpich", "openmpi")),
                Part("main job", ["bash", "-ec", main_job]),
            ]
        ],
    ]


def main() -> None:
    """Run the parts that are asked for, or all."""
    plan = stages()
    names = [part.name for stage in plan for lane in stage for part in lane]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*names, []], metavar="PART", help=", ".join(names))
    wanted = parser.parse_args().part or names
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began, done = time.monotonic(), list[Part]()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for stage in plan:
            lanes = [[part for part in lane if part.name in wanted] for lane in stage]
            threads = [threading.Thread(target=in_turn, args=(lane, Path(folder)), daemon=True) for lane in lanes]
            for thread in threads:
                thread.start()
            try:
                for thread in threads:
                    thread.join()
            except KeyboardInterrupt:
                for part in (part for lane in lanes for part in lane):
                    part.kill()
                sys.exit("interrupted")
            done += (part for lane in lanes for part in lane)
    print()
    for part in done:
        for line in part.notable():
            print(f"{part.name:>12s} | {line}")
    print(f"\n{'part':>12s} | result  seconds  tests")
    for part in done:
        counts = ", ".join(f"{number} {what}" for what, number in part.counts.items() if number)
        print(f"{part.name:>12s} | {'FAILED' if part.code else 'ok':6s} {part.seconds:8.0f}  {counts}")
    total = sum((part.counts for part in done), Counter())
    print(", ".join(f"{total[what]} {what}" for what in ("passed", "failed", "skipped")), f"in {time.monotonic() - began:.2f}s")
    sys.exit(any(part.code for part in done))


def in_turn(lane: list[Part], folder: Path) -> None:
    """Run the parts of a lane."""
    for part in lane:
        part.run(folder)


if __name__ == "__main__":
    main()
