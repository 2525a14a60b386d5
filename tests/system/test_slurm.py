"""A campaign on a real Slurm of one node (tests/slurm/sandbox.sh): out of time, killed, cancelled, daemons lost."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from archives import contents
from processes import CAP, slowness, wait_for

from mpiepm.analysis.read import read
from mpiepm.io import lock

SANDBOX = Path(__file__).parents[1] / "slurm" / "sandbox.sh"
Run = Callable[..., subprocess.CompletedProcess[str]]
FILE = """
[base]
engine = { name = "event" }
run = { equilibrate = { events_per_site = 3 }, origins = 4, overlap = 2 }
[resources]
walltime = "%dm"
ranks = { by = "L", "20" = 2, else = 1 }
memory = 1
[packing]
shorter_than = "2s"
cores = 2
[[grid]]
over = { L = [16], T = [0.1, 0.06], seed = 2 }
[[grid]]
name = "two-ranks"
over = { L = [20], T = [0.1], seed = 2 }
[[grid]]
name = "long"
over = { L = [64], T = [0.1], seed = 2 }
set = { run.origins = 50, engine.name = "sweep" }
[[grid]]
name = "longer"
over = { L = [64], T = [0.1], seed = 1 }
set = { run.origins = 260, engine.name = "sweep" }
"""
LONG = ["long/L=64/T=0.1/seed=1", "long/L=64/T=0.1/seed=2", "longer/L=64/T=0.1/seed=1"]  # in the array the longest comes first


@pytest.fixture
def slurm(environment: dict[str, str]) -> Generator[Callable[[str], None], None, None]:
    """The sandbox, started; call it to do something with it."""
    missing = [program for program in ("slurmctld", "slurmd", "munged") if not shutil.which(program, path="/usr/sbin:/usr/bin")]
    if missing or os.getuid() != 0:
        pytest.skip("NOT TESTED: no Slurm here" if missing else "NOT TESTED: the daemons of Slurm need root")
    folder = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")

    def sandbox(action: str) -> None:
        subprocess.run([SANDBOX, action, folder], check=True, timeout=CAP)

    environment["SLURM_CONF"] = f"{folder}/slurm.conf"
    environment.setdefault("NUMBA_CACHE_DIR", str(Path.home() / ".cache"))  # compiled once, not per job
    sandbox("start")
    try:
        yield sandbox
    finally:
        sandbox("stop")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def impatient(environment: dict[str, str]) -> Iterator[None]:
    """The programs of Slurm give up soon when they get no answer."""
    patient = Path(environment["SLURM_CONF"])
    hasty = patient.with_name("hasty.conf")
    hasty.write_text(patient.read_text().replace("MessageTimeout=100", "MessageTimeout=5"))
    environment["SLURM_CONF"] = str(hasty)
    try:
        yield
    finally:
        environment["SLURM_CONF"] = str(patient)


def kill(folder: Path) -> None:
    """Wait for the run in the directory, and kill a rank of it."""
    holder = wait_for(lambda: lock.holder(folder))
    assert holder
    os.kill(holder.pid, signal.SIGKILL)


def starts(folder: Path) -> list[str]:
    """Lines of the log, one for each time the run was begun or resumed."""
    log = folder / "run.log"
    return [line for line in log.read_text().splitlines() if " start: " in line] if log.exists() else []


def test_a_campaign_on_slurm(
    slurm: Callable[[str], None], mpiepm: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    file, site, out, here = (tmp_path / name for name in ("campaign.toml", "site.toml", "out", "here"))
    minutes = math.ceil(slowness() / 1.5)  # one is the shortest limit that Slurm knows
    file.write_text(FILE % minutes)
    # It looks every half minute, and warns up to that much too early: a job has 20 to 50 s, and more on a slower machine.
    site.write_text(f"warning = {10 * minutes}\n")

    def campaign(action: str, *options: object) -> str:
        done = mpiepm(1, "campaign", action, file, "--out", out, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def queue() -> str:
        command = ["squeue", "--me", "--noheader", "--array", "--format=%i %j %T"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=CAP).stdout

    def wait(for_what: Callable[[], object]) -> None:
        deadline = time.monotonic() + CAP
        while not for_what():
            assert time.monotonic() < deadline, f"waited in vain:\n{queue()}{campaign('status', '--all')}"
            time.sleep(0.5)

    def written_down() -> bool:
        """Slurm writes down what it knows every few seconds, if there is anything new."""
        for job in queue().split()[::3]:
            subprocess.run(["scontrol", "update", f"JobId={job}", f"Comment={time.time()}"], env=environment, timeout=CAP)
        return (Path(environment["SLURM_CONF"]).parent / "state" / "job_state").stat().st_mtime > known

    undisturbed = mpiepm(1, "campaign", "run", file, "--out", here)  # compiles everything as well
    assert undisturbed.returncode == 0, undisturbed.stdout + undisturbed.stderr

    told = campaign("submit", "--site", site)
    assert "9 to submit" in told
    assert told.count("job ") == 4, told  # two arrays, a packed job, and what collects
    assert "0 to submit" in campaign("submit", "--site", site)

    kill(out / LONG[0])
    wait(lambda: lock.holder(out / LONG[1]))
    second = next(line.split()[0] for line in queue().splitlines() if re.search(r"_3 .*-0001 ", line))
    subprocess.run(["scancel", second], check=True, env=environment, timeout=CAP)
    wait(lambda: re.search(rf"{LONG[0]} +failed +exit code \d+ in job \d+", campaign("status")))
    wait(lambda: re.search(rf"{LONG[1]} +(unfinished|missing) .*CANCELLED", campaign("status")))
    wait(lambda: len(starts(out / LONG[2])) > 1)  # its time was up, and it was requeued

    known = time.time()
    wait(written_down)
    slurm("kill")
    with impatient(environment):
        without = campaign("status")
        lost = mpiepm(1, "campaign", "submit", file, "--out", out)
    assert "Slurm does not answer" in without
    assert "1 failed" in without
    assert lost.returncode == 2, lost.stdout  # it could submit twice
    slurm("start")
    wait(lambda: slurm("resume") or not queue())  # Slurm drains a node where it began a job twice

    status = campaign("status", "--all")
    for path in sorted(point.parent for point in out.rglob("params.toml")):
        finished = re.search(rf"{path.relative_to(out)} +finished", status)
        assert bool(finished) == (path / "archive.h5").exists(), status
    assert f"{LONG[1]}  finished" not in status
    assert 1 < json.loads((out / "campaign.json").read_text())["total"]["finished"] < 9

    for _ in range(3):
        if "0 to submit" in campaign("resume", "--site", site):
            break
        wait(lambda: not queue())
    assert "9 finished" in campaign("status")
    archives = sorted(path.relative_to(here) for path in here.rglob("archive.h5"))
    assert len(archives) == 9
    for path in archives:
        assert contents(out / path) == contents(here / path)
    assert len(read(out / LONG[2]).history) > 1
    assert json.loads((out / "campaign.json").read_text())["total"]["finished"] == 9


def test_templates_by_hand(slurm: Callable[[str], None], environment: dict[str, str], tmp_path: Path) -> None:
    """An array over parameter files, the same packed into one job, and a look at both afterwards; one of the files is wrong."""
    for name, key in (("good", "origins"), ("bad", "orgins")):
        (tmp_path / f"{name}.toml").write_text(
            f'model.temperature = 0.1\nlattice.size = [16, 16]\nengine.name = "event"\nrun.{key} = 2\n'
        )
    variables = {**environment, "MPIEPM_BIN": str(Path(sys.executable).parent), "MPIEPM": str(SANDBOX.parents[2])}

    def sbatch(template: str, *options: str, **more: str) -> str:
        command = ["sbatch", "--parsable", f"--output={tmp_path}/{template}.out", *options, f"slurm/{template}.sbatch"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, check=True, cwd=SANDBOX.parents[2],
                              env={**variables, **more})  # fmt: skip
        return done.stdout.strip()

    jobs = []
    for template, options in (("array", ("--array=1-2", "--ntasks=1")), ("packed", ("--ntasks=2",))):
        lines = [f"{tmp_path}/{template}/{name}\t{tmp_path}/{name}.toml" for name in ("bad", "good")]
        (tmp_path / f"{template}.txt").write_text("\n".join(lines))
        jobs.append(sbatch(template, *options, "--time=60", LIST=f"{tmp_path}/{template}.txt"))
    command = f"mpiepm verify {tmp_path}/array/good {tmp_path}/packed/good && echo both are sound"
    sbatch("finish", f"--dependency=afterany:{':'.join(jobs)}", COMMAND=command)
    told = tmp_path / "finish.out"
    wait_for(lambda: told.exists() and "both are sound" in told.read_text())
    for template in ("array", "packed"):
        assert "run.orgins: unknown key" in (tmp_path / template / "bad" / "failed.txt").read_text()
        assert not (tmp_path / template / "bad" / "params.toml").exists()
