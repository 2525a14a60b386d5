"""The job scripts of slurm/ without Slurm: what they make of a signal at any time, of lists and launchers."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import CAP, wait_for

from mpiepm.models.parameters import from_values

ROOT = Path(__file__).parents[2]


def make_run(folder: Path, seed: int) -> None:
    """A directory with parameters, of a run that takes some seconds."""
    folder.mkdir()
    run = {"equilibrate": {"events_per_site": 3}, "origins": 400, "seed": seed}
    values = {"model": {"temperature": 0.1}, "lattice": {"size": [32, 32]}, "engine": {"name": "event"}, "run": run}
    (folder / "params.toml").write_text(from_values(values).to_toml())


def start(script: str, environment: dict[str, str], tmp_path: Path, lines: str, **job: str) -> subprocess.Popen[str]:
    """A job script over a list of these lines."""
    (tmp_path / "list").write_text(lines)
    cache = Path.home() / ".cache"  # not one of this test's own: compiling takes longer than the runs
    variables = {
        "LIST": str(tmp_path / "list"), "MPIEPM": str(ROOT), "MPIEPM_BIN": str(Path(sys.executable).parent),
        "MAX_RESTARTS": "0", "SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "NUMBA_CACHE_DIR": str(cache),
    }  # fmt: skip
    return subprocess.Popen(
        ["bash", ROOT / "slurm" / f"{script}.sbatch"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**environment, **variables, **job},
    )  # fmt: skip


def stand_in(folder: Path, **programs: str) -> str:
    """A folder of programs that take the place of the real ones, each a few lines of bash."""
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


# A run that ends when there is a file "end" beside its directory, whatever it is told
DEAF = """[ "$1" = run ] || exit 0
trap "" USR1; while [ "$1" != --out ]; do shift; done
touch "$2/begun"; until [ -e "$2/../end" ]; do sleep 0.05; done; touch "$2/archive.h5"
"""


def catches(pid: int, number: signal.Signals) -> bool:
    """Has this process a handler for the signal?"""
    mask = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    return bool(mask and int(mask[1], 16) >> (number - 1) & 1)


@pytest.mark.timeout(3600)  # it may have to compile
@pytest.mark.parametrize("begun", [0, 1, 2])
def test_packed_runs_that_are_told_to_stop(begun: int, environment: dict[str, str], tmp_path: Path) -> None:
    """None begun, as while it compiles; some just starting; or as many as fit: they are to be resumed, none has failed."""
    folders = [tmp_path / str(seed) for seed in (1, 2, 3)]
    for seed, folder in enumerate(folders, 1):
        make_run(folder, seed)
    process = start("packed", environment, tmp_path, "".join(f"{folder}\n" for folder in folders))
    wait_for(lambda: catches(process.pid, signal.SIGUSR1), process)
    wait_for(lambda: len([log for log in tmp_path.rglob("run.log") if " start: " in log.read_text()]) >= begun, process)
    process.send_signal(signal.SIGUSR1)
    told, _ = process.communicate(timeout=CAP)
    assert process.returncode == 75, told
    assert "unfinished after" in told
    assert not any(tmp_path.rglob("failed.txt"))


@pytest.mark.parametrize("site", ["", "a site.toml"])
def test_the_job_that_collects_looks_where_the_runs_are(site: str, environment: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "mpiepm"
    program.write_text("#!/bin/bash\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    job = {"MPIEPM": str(ROOT), "MPIEPM_BIN": str(tmp_path), "CAMPAIGN": "c.toml", "OUT": "my runs", "MPIEPM_SITE": site}
    told = subprocess.run(
        ["bash", ROOT / "slurm" / "finish.sbatch"], capture_output=True, text=True, check=True, env={**environment, **job}
    ).stdout
    assert told.splitlines() == ["campaign", "collect", "c.toml", "--out", "my runs", *(["--site", site] if site else [])]


@pytest.mark.parametrize("rest", ["", "\tparams.toml"])
@pytest.mark.parametrize(("runs", "code"), [(2, 0), (3, 75)])
def test_lists_of_packed_runs(runs: int, code: int, rest: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Told to stop: all that were begun finish nevertheless, and the third, in a line without an end, was not begun."""
    lines = "\n".join(f"{tmp_path / str(k)}{rest}" for k in range(runs))
    process = start("packed", environment, tmp_path, lines, MPIEPM_BIN=stand_in(tmp_path / "bin", mpiepm=DEAF))
    wait_for(lambda: len(list(tmp_path.rglob("begun"))) == 2, process)
    process.send_signal(signal.SIGUSR1)
    (tmp_path / "end").touch()
    told, _ = process.communicate(timeout=CAP)
    assert process.returncode == code, told
    assert len(list(tmp_path.rglob("archive.h5"))) == 2


@pytest.mark.parametrize("script", ["run", "array", "packed"])
def test_a_job_is_told_to_stop_before_it_begins_a_run(script: str, environment: dict[str, str], tmp_path: Path) -> None:
    """While it loads modules, say."""
    programs = stand_in(tmp_path / "bin", mpiepm=DEAF, mpirun="shift; $*", module="kill -USR1 $PPID")
    job = {"MPIEPM_BIN": programs, "PATH": f"{programs}:{environment['PATH']}", "MODULES": "mpi", "OUT": f"{tmp_path}/0"}
    process = start(script, environment, tmp_path, f"{tmp_path}/0\n", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_JOB_ID="1", **job)
    told, _ = process.communicate(timeout=CAP)
    assert process.returncode == 75, told
    assert not (tmp_path / "0").exists()


@pytest.mark.parametrize(("launcher", "asked"), [("srun --mpi=pmix", "--mpi=pmix --exact --mem=0 -n 2"), ("mpiexec", "-n 2")])
def test_packed_runs_of_several_ranks(launcher: str, asked: str, environment: dict[str, str], tmp_path: Path) -> None:
    """The launcher starts them, as in the other scripts."""
    program = launcher.split()[0]
    once = {program: f"echo {program} $*; while [ $1 != mpiepm ]; do shift; done; $*"}
    (tmp_path / "end").touch()
    job = {"MPIEPM_BIN": stand_in(tmp_path / "bin", mpiepm=DEAF, **once), "LAUNCHER": launcher, "RANKS": "2"}
    process = start("packed", environment, tmp_path, f"{tmp_path}/a\n\n{tmp_path}/b\n", **job)
    told, _ = process.communicate(timeout=CAP)
    assert process.returncode == 0, told
    assert told.count(f"{program} {asked} mpiepm run --out {tmp_path}/") == 2
    assert len(list(tmp_path.rglob("archive.h5"))) == 2


@pytest.mark.parametrize("ranks", ["3", "0", "two"])
def test_no_room_for_a_packed_run(ranks: str, environment: dict[str, str], tmp_path: Path) -> None:
    told, _ = (process := start("packed", environment, tmp_path, f"{tmp_path}/a\n", RANKS=ranks)).communicate(timeout=CAP)
    assert (process.returncode, told) == (2, f"RANKS={ranks}: must be at least 1 and at most 2, the tasks of this job\n")
    assert not (tmp_path / "a").exists()


def test_packed_runs_are_compiled_for_before_they_start(environment: dict[str, str], tmp_path: Path) -> None:
    """Once, for those that are still to be done and whose parameters are there."""
    for name in ("a", "b", "done"):
        make_run(tmp_path / name, 1)
    (tmp_path / "done" / "archive.h5").touch()
    (tmp_path / "other.toml").touch()
    log = tmp_path / "log"
    program = f'echo "$@" >> {log}; {DEAF}'
    lines = f"{tmp_path}/a\n\n{tmp_path}/done\n{tmp_path}/new\t{tmp_path}/other.toml\n{tmp_path}/lost\n{tmp_path}/b"
    (tmp_path / "end").touch()
    process = start("packed", environment, tmp_path, lines, MPIEPM_BIN=stand_in(tmp_path / "bin", mpiepm=program))
    told, _ = process.communicate(timeout=CAP)
    assert process.returncode == 0, told
    first, *others = log.read_text().splitlines()
    assert first == f"compile {tmp_path}/a/params.toml {tmp_path}/other.toml {tmp_path}/b/params.toml"
    assert len(others) == 4
    assert all(line.startswith("run ") for line in others)


@pytest.mark.parametrize("script", ["run", "array", "packed"])
@pytest.mark.parametrize("module", ["", 'echo "no $2" >&2; exit 1'])
def test_modules_that_cannot_be_loaded(module: str, script: str, environment: dict[str, str], tmp_path: Path) -> None:
    """No run begins, and its directory says why."""
    programs = stand_in(tmp_path / "bin", mpiepm=DEAF, mpirun="shift; $*", **({"module": module} if module else {}))
    job = {"MPIEPM_BIN": programs, "PATH": f"{programs}:{environment['PATH']}", "MODULES": "hdf5 mpi", "OUT": f"{tmp_path}/0"}
    process = start(script, environment, tmp_path, f"{tmp_path}/0\n", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_JOB_ID="1", **job)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 1, told
    assert not (tmp_path / "0" / "begun").exists()
    expected = "module load hdf5 failed" if module else "module load hdf5 mpi: there is no `module` in this shell"
    assert (tmp_path / "0" / "failed.txt").read_text().startswith(expected)


STOPPED = 'echo "mpiepm: unfinished, checkpoint written: SIGTERM" >&2; exit 75'


@pytest.mark.parametrize("script", ["run", "array", "packed"])
@pytest.mark.parametrize(("preempted", "code"), [("2026-11-25T10:00:00", 75), ("None", 143)])
def test_a_job_that_makes_room_is_requeued_and_one_that_is_cancelled_is_not(
    preempted: str, code: int, script: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Slurm sends SIGTERM in both cases; the step of srun may get it before the job script."""
    scontrol = f'[ $1 = requeue ] && touch {tmp_path}/requeued; echo "PreemptEligibleTime=2026-11-25 PreemptTime={preempted}"'
    programs = stand_in(tmp_path / "bin", mpiepm=STOPPED, mpirun="exec $*", scontrol=scontrol)
    job = {"MPIEPM_BIN": programs, "OUT": f"{tmp_path}/0", "MAX_RESTARTS": "9"}
    process = start(script, environment, tmp_path, f"{tmp_path}/0\n", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_JOB_ID="1", **job)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert (tmp_path / "requeued").exists() == (code == 75)


@pytest.mark.parametrize(("left", "requeued"), [(179, False), (-9, True)])
def test_a_job_no_longer_than_its_warning_is_not_requeued(
    left: int, requeued: bool, environment: dict[str, str], tmp_path: Path
) -> None:
    scontrol = f"[ $1 = requeue ] && touch {tmp_path}/requeued"
    programs = stand_in(tmp_path / "bin", mpiepm="kill -USR1 $PPID; sleep 1; exit 75", mpirun="exec $*", scontrol=scontrol)
    job = {"MPIEPM_BIN": programs, "OUT": f"{tmp_path}/0", "MAX_RESTARTS": "9"}
    job["SLURM_JOB_END_TIME"] = str(int(time.time()) + left)
    process = start("run", environment, tmp_path, "", **job)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert ("the time of the job must be longer than the warning" in told) != requeued
    assert (tmp_path / "requeued").exists() == requeued
