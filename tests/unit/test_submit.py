"""Submission to a Slurm that is a stand-in: what is accepted, refused, lost on the way; numbers, and one at a time."""

import json
import os
import re
import shutil
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from processes import slowness
from test_campaign_files import FILE

from mpiepm.campaign import command, failures, queue
from mpiepm.core.faults import ParameterError, RunError
from mpiepm.io import lock

SQUEUE = "cat jobs"
SCONTROL = "echo MaxArraySize = 4"
SBATCH = """
for word; do case $word in --job-name=*) name=${word#*=} ;; --array=1-*) tasks=${word#--array=1-} ;; esac; done
number=$(($(cut -d "|" -f 2 jobs | uniq | wc -l) + 1))
echo "$number $* ${SLURM_MEM_PER_CPU-}" >> calls
[ ! -e slow ] || exec sleep 1200
[ ! -e refuse-${name##*-} ] || { printf "sbatch: error: no\\nsbatch: error: not now\\n" >&2; exit 1; }
for task in $(seq ${tasks:-0}); do echo "${number}_$task|$name|PENDING|None"; done >> jobs
[ "$tasks" ] || echo "$number|$name|PENDING|None" >> jobs
[ ! -e lost-${name##*-} ] || { echo "sbatch: error: timed out" >&2; exit 1; }
echo $number
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Slurm that does nothing but remember its jobs, in the file of that name."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "jobs").touch()
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scontrol": SCONTROL}.items():
        (folder / name).write_text(f"#!/bin/bash\nPATH=/usr/bin:/bin\ncd {folder}\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return folder


def perform(tmp_path: Path, action: str = "submit", site: str = "") -> int:
    """A command on six small runs, which are packed, and six large ones, three of which fit into an array."""
    (tmp_path / "campaign.toml").write_text(FILE)
    (tmp_path / "site.toml").write_text(site)
    profile = tmp_path / "site.toml" if site else None
    return command.main(Namespace(file=tmp_path / "campaign.toml", out=tmp_path / "out", action=action, site=profile))


def jobs(slurm: Path) -> list[str]:
    """Number and last part of the name of each."""
    lines = [line.split("|") for line in (slurm / "jobs").read_text().splitlines()]
    return list(dict.fromkeys(f"{job.partition('_')[0]} {name.rpartition('-')[2]}" for job, name, *_ in lines))


def lists(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out" / "jobs").glob("*.list"))


def test_submissions_have_numbers_of_their_own(slurm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(tmp_path) == 0
    assert lists(tmp_path) == ["0001.list", "0002.list", "0003-packed.list"]
    assert jobs(slurm) == ["1 0001", "2 0002", "3 0003", "4 finish"]
    assert perform(tmp_path) == 0
    assert "0 to submit" in capsys.readouterr().out
    second = (tmp_path / "out" / "jobs" / "0002.list").read_text()
    for gone, new in (("0001.list", "0004.list"), ("0004.list", "0005.list")):  # the first; the newest, whose job has its name
        (tmp_path / "out" / "jobs" / gone).unlink()
        assert perform(tmp_path) == 0
        assert lists(tmp_path) == ["0002.list", "0003-packed.list", new]
    assert (tmp_path / "out" / "jobs" / "0002.list").read_text() == second


def test_one_submission_at_a_time(slurm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "jobs"
    folder.mkdir(parents=True)
    parent = replace(lock.Holder.this_process(), pid=os.getppid(), started=lock._start_of(os.getppid()))
    (folder / lock.NAME).write_text(json.dumps(asdict(parent)))
    with pytest.raises(ParameterError, match=f"{folder}: in use by process {os.getppid()} on .*; only one at a time"):
        perform(tmp_path)
    assert jobs(slurm) == []


def test_what_was_accepted_before_a_refusal_goes_on(slurm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert perform(tmp_path) == 0
    (slurm / "jobs").write_text("")  # all have failed
    folders = [Path(line) for name in lists(tmp_path) for line in (tmp_path / "out" / "jobs" / name).read_text().splitlines()]
    for folder in folders:
        failures.record(folder, "exit code 1 in job 1")
    capsys.readouterr()
    (slurm / "refuse-0005").touch()
    with pytest.raises(RunError, match=r"^sbatch .*array.sbatch: sbatch: error: no; sbatch: error: not now$"):
        perform(tmp_path, "resume")
    told = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert told[1:] == ["job 1: 3 runs", "job 2: collects the results when these have ended"]
    assert lists(tmp_path)[3:] == ["0004.list"]
    assert [folder.joinpath(failures.NAME).exists() for folder in folders].count(False) == 3
    (slurm / "refuse-0005").unlink()
    assert perform(tmp_path, "resume") == 0
    assert jobs(slurm) == ["1 0004", "2 finish", "3 0005", "4 0006", "5 finish"]
    assert not any((tmp_path / "out").rglob(failures.NAME))


def test_a_job_that_was_accepted_in_spite_of_an_error(slurm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (slurm / "lost-0002").touch()
    assert perform(tmp_path) == 0
    assert "job 2: 3 runs" in capsys.readouterr().out
    assert jobs(slurm) == ["1 0001", "2 0002", "3 0003", "4 finish"]


def test_nothing_is_begun_without_slurm(slurm: Path, tmp_path: Path) -> None:
    (slurm / "refuse-0001").touch()
    with pytest.raises(ParameterError, match=r"^sbatch .*: sbatch: error: no; sbatch: error: not now$"):
        perform(tmp_path)
    assert lists(tmp_path) == []
    shutil.rmtree(tmp_path / "out")
    for program in ("squeue", "scontrol"):
        (slurm / program).unlink()
        with pytest.raises(ParameterError, match=f"^{program}: there is no Slurm on this machine$"):
            perform(tmp_path)
        assert not (tmp_path / "out").exists()


def test_slurm_takes_too_long(slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "TIMEOUT", 0.5 * slowness())
    (slurm / "slow").touch()
    with pytest.raises(ParameterError, match=r"^Slurm does not answer: sbatch took more than \S+ s$"):
        perform(tmp_path)
    assert lists(tmp_path) == ["0001.list"]  # the job may still come
    (slurm / "scontrol").write_text("#!/bin/bash\nexec /bin/sleep 1200\n")
    with pytest.raises(ParameterError, match=r"^Slurm does not answer: scontrol took more than \S+ s$"):
        perform(tmp_path)


@pytest.mark.parametrize(
    ("memory", "asked"), [("per node", r"--mem=\d+M"), ("per core", r"--mem-per-cpu=\d+M"), ("none", None)]
)
def test_sites_want_memory_in_different_ways(memory: str, asked: str | None, slurm: Path, tmp_path: Path) -> None:
    assert perform(tmp_path, site=f'memory = "{memory}"') == 0
    *runs, collecting = (slurm / "calls").read_text().splitlines()
    for call in runs:
        assert re.findall(r"--mem\S*", call) == (re.findall(asked, call) if asked else [])
        assert asked is None or re.search(asked, call)
    assert "--mem" not in collecting


def test_what_collects_asks_for_no_more_time_than_the_runs(slurm: Path, tmp_path: Path) -> None:
    assert perform(tmp_path) == 0
    times = [int(minutes) for minutes in re.findall(r"--time=(\d+)", (slurm / "calls").read_text())]
    assert times[-1] == min(max(times[:-1]), 240)


def test_a_job_that_submits_hands_nothing_of_its_own_on(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "500")
    assert perform(tmp_path) == 0
    assert not any(call.endswith(" 500") for call in (slurm / "calls").read_text().splitlines())
