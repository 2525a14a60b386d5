"""`mpiepm campaign` on this machine: interrupted, with a run that is killed and one that cannot work, and gathered."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import xarray
from archives import contents
from processes import CAP, wait_for

from mpiepm.campaign import grid, worker
from mpiepm.core.exits import FINISHED, UNFINISHED
from mpiepm.io import lock

Run = Callable[..., subprocess.CompletedProcess[str]]
FILE = """
[base]
run = { equilibrate = { events_per_site = 3 }, origins = 4, overlap = 2 }
engine.name = "event"
output.checkpoint_minutes = 0.005
[resources]
ranks = { by = "L", "20" = 2, else = 1 }
[[grid]]
over = { L = [16], T = [0.1, 0.06], seed = 2 }
[[grid]]
over = { L = [20], T = [0.1], seed = 1 }
[[grid]]
name = "long"
over = { L = [32], T = [0.1], seed = 1 }
set.run.origins = 200
"""


def holder(folder: Path) -> lock.Holder:
    """Wait until a run works in the directory and has a checkpoint."""
    found = wait_for(lambda: lock.holder(folder) if any(folder.glob("checkpoint-*.h5")) else None)
    assert found
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "campaign.toml"
    path.write_text(FILE)
    return path


def start(file: Path, out: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mpiepm", "campaign", "run", str(file), "--out", str(out), "--cores", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def pending(process: subprocess.Popen[str]) -> bool:
    """Has it not yet taken note of a SIGINT?"""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return any(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1 for line in status.splitlines() if line.startswith("ShdPnd"))


def working(out: Path) -> bool:
    """Is there still a process whose command line names the folder?"""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(out).encode() in line.read_bytes():
                return True
    return False


@pytest.mark.mpirun
def test_a_campaign(file: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path) -> None:
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    long, stuck = out / "long/L=32/T=0.1/seed=1", out / "L=16/T=0.1/seed=1"
    assert "6 runs" in mpiepm(1, "campaign", "plan", file, "--out", out).stdout
    assert not out.exists()

    stuck.mkdir(parents=True)
    (stuck / "journal").write_text("no folder")  # so this run cannot work
    first = start(file, out, environment)
    os.kill(holder(long).pid, signal.SIGKILL)
    told, errors = first.communicate(timeout=CAP)
    assert first.returncode == 1, errors
    assert f"{long}: FAILED" in told
    assert "killed by SIGKILL" in told
    status = mpiepm(1, "campaign", "status", file, "--out", out).stdout
    assert "6 runs" in status
    assert "4 finished, 2 failed" in status
    assert "journal: is in the way" in status
    again = mpiepm(1, "campaign", "run", file, "--out", out)
    assert again.returncode == 1
    assert "6 runs, 0 to do" in again.stdout

    (stuck / "journal").unlink()
    (long / "failed.txt").unlink()
    second = start(file, out, environment)
    holder(long)
    second.send_signal(signal.SIGINT)
    told, errors = second.communicate(timeout=CAP)
    assert second.returncode == 1, told + errors  # one is still failed
    assert f"{long}: interrupted after" in told
    assert "1 unfinished" in mpiepm(1, "campaign", "status", file, "--out", out).stdout
    file.write_text(FILE.replace("0.005", "10"))  # may change at any time
    resumed = mpiepm(1, "campaign", "resume", file, "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    assert "6 finished" in mpiepm(1, "campaign", "status", file, "--out", out).stdout

    assert mpiepm(1, "campaign", "run", file, "--out", undisturbed, "--cores", 2).returncode == 0
    archives = sorted(path.relative_to(undisturbed) for path in undisturbed.rglob("archive.h5"))
    assert len(archives) == 6
    for path in archives:
        assert contents(out / path) == contents(undisturbed / path)

    collected = mpiepm(1, "campaign", "collect", file, "--out", out)
    assert collected.returncode == 0, collected.stderr
    states = xarray.open_dataset(out / "results.nc", engine="h5netcdf")
    assert sorted(states.point.values) == ["L=16/T=0.06", "L=16/T=0.1", "L=20/T=0.1", "long/L=32/T=0.1"]
    assert states.trajectories.values.max() == 2
    summary = json.loads((out / "campaign.json").read_text())
    points = {point["name"]: point for point in summary["points"]}
    assert summary["total"]["finished"] == 6
    assert points["long/L=32/T=0.1/seed=1"]["actual"]["stretches"] >= 2
    assert points["L=20/T=0.1/seed=1"]["actual"]["ranks"] == 2
    for point in points.values():
        assert 1 / 3 < point["predicted"]["events"] / point["actual"]["events"] < 3  # small lattices, few events
        for what in ("memory", "archive"):
            assert 1 / 3 < point["predicted"][what] / point["actual"][what] < 3


@pytest.mark.mpirun
@pytest.mark.parametrize(("ranks", "twice"), [(1, False), (2, False), (2, True)])
def test_a_campaign_that_is_interrupted_as_it_begins(
    ranks: int, twice: bool, file: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The second worker, and mpirun and its ranks, are not yet ready for signals. Nothing is left at work."""
    file.write_text(f"""
    [base]
    run = {{ equilibrate = {{ events_per_site = 3 }}, origins = 400, overlap = 2 }}
    engine.name = "event"
    [[grid]]
    over = {{ L = [32], T = [0.1], seed = 2 }}
    resources.ranks = {ranks}
    """)
    out = tmp_path / "out"
    process = start(file, out, environment)
    wait_for(lambda: any(out.rglob("params.toml")), process)
    process.send_signal(signal.SIGINT)
    if twice:
        wait_for(lambda: not pending(process))
        process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=CAP)
    assert process.returncode == 75, told + errors
    assert "FAILED" not in told
    assert "Traceback" not in errors
    assert not any(out.rglob("failed.txt"))
    wait_for(lambda: not working(out))


def test_runs_under_mpirun_do_not_share_cores_while_others_are_free(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several mpirun would each bind their ranks to the first cores. Open MPI 4 and 5 have other names for what is set."""
    program, seen = tmp_path / "bin" / "mpirun", tmp_path / "seen"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv > {seen}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("OMPI_MCA_rmaps_base_oversubscribe", "0")  # what the user sets holds
    monkeypatch.delenv("PRTE_MCA_rmaps_default_mapping_policy", raising=False)
    point = grid.read(file, tmp_path / "out").points[-1]
    process = worker.Worker()
    process.perform(point.folder, point.params.to_toml(), 2)
    assert process.outcome().code == FINISHED
    process.end()
    set_there = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
    assert set_there["OMPI_MCA_hwloc_base_binding_policy"] == set_there["PRTE_MCA_hwloc_default_binding_policy"] == "none"
    assert set_there["PRTE_MCA_rmaps_default_mapping_policy"] == ":oversubscribe"
    assert set_there["OMPI_MCA_rmaps_base_oversubscribe"] == "0"


def test_what_another_process_has_done_or_works_at_is_left_alone(file: Path, tmp_path: Path) -> None:
    point = grid.read(file, tmp_path / "out").points[0]
    text = point.params.to_toml()
    point.folder.mkdir(parents=True)
    with lock.held(point.folder):
        code, why = worker._perform(point.folder, text, 1)
    assert code == UNFINISHED
    assert why.startswith("in use by process")
    assert list(point.folder.iterdir()) == []
    assert worker._perform(point.folder, text, 1) == (FINISHED, "")
    before = (point.folder / "archive.h5").stat()
    assert worker._perform(point.folder, text, 1) == (FINISHED, "")
    after = (point.folder / "archive.h5").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_damaged_archive_is_left_out(mpiepm: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "campaign.toml", tmp_path / "out"
    file.write_text("""
    [base]
    run = { equilibrate = { events_per_site = 3 }, origins = 4 }
    engine.name = "event"
    [[grid]]
    over = { L = [16], run.seed = 2 }
    set.model.temperature = 0.1
    [[grid]]
    over = { L = [16], T = [0.06], seed = [1] }
    """)
    assert mpiepm(1, "campaign", "run", file, "--out", out).returncode == 0
    collected = mpiepm(1, "campaign", "collect", file, "--out", out)
    assert collected.returncode == 0, collected.stderr
    states = xarray.open_dataset(out / "results.nc", engine="h5netcdf")
    assert dict(zip(states.point.values, states.trajectories.values, strict=True)) == {"L=16": 2, "L=16/T=0.06": 1}
    states.close()

    damaged = out / "L=16" / "T=0.06" / "seed=1" / "archive.h5"
    damaged.write_bytes(damaged.read_bytes()[:-20000])
    collected = mpiepm(1, "campaign", "collect", file, "--out", out)
    assert collected.returncode == 0, collected.stderr
    assert f"left out: {damaged}: damaged" in collected.stdout
    report = mpiepm(1, "campaign", "report", file, "--out", out)
    assert report.returncode == 0, report.stderr
    entry = json.loads((out / "report.json").read_text())["points"][2]
    assert (entry["status"], entry["actual"]) == ("finished", None)
    assert f"{damaged}: damaged" in entry["why"]


def test_wrong_files_are_told_in_one_line(file: Path, mpiepm: Run, tmp_path: Path) -> None:
    file.write_text(FILE.replace("L = [16]", "l = [16]"))
    for action in ("plan", "run", "submit", "status"):
        done = mpiepm(1, "campaign", action, file, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "l: unknown key" in done.stderr
    assert mpiepm(1, "campaign", "plan", tmp_path / "none.toml").returncode == 2
    assert not (tmp_path / "out").exists()
