"""Damaged checkpoints: the one before takes over, or the run says which files are broken and touches nothing."""

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import contents
from processes import wait_for

from mpiepm.core.faults import ParameterError
from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint
from mpiepm.models.parameters import load

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PARAMS = """
[lattice]
size = [33, 50]
[model]
temperature = 0.1
[run]
equilibrate = { time = 1 }
origins = 2
[output]
checkpoint_minutes = 1e-4
"""


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with two checkpoints and a journal, left by a kill."""
    folder = tmp_path_factory.mktemp("unfinished")
    (folder / "params.toml").write_text(PARAMS)
    command = [sys.executable, "-m", "mpiepm", "run", str(folder / "params.toml"), "--out", str(folder / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_for((folder / "run" / "checkpoint-000006.h5").exists, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for third in checkpoint.existing(folder / "run")[2:]:  # killed before it could
        third.unlink()
    assert len(checkpoint.existing(folder / "run")) == 2
    return folder / "run"


def damage(path: Path, where: float) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a directory."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.mpirun
def test_the_one_before_takes_over(unfinished: Path, mpiepm: Run, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    shutil.copytree(unfinished, whole)
    shutil.copytree(unfinished, broken)
    newest, before = checkpoint.existing(broken)
    damage(newest, 0.4)
    for ranks, folder in ((1, whole), (2, broken)):
        done = mpiepm(ranks, "run", "--out", folder, "--resume", "--quiet", "--set", "output.checkpoint_minutes=10")
        assert done.returncode == 0, done.stderr
    warning = f"warning: {newest}: damaged: not what was written: "
    assert warning in done.stderr
    assert f"; resumed from {before}" in done.stderr
    assert warning in (broken / "run.log").read_text()
    assert contents(broken / "archive.h5") == contents(whole / "archive.h5")


@pytest.mark.mpirun
def test_none_is_sound(unfinished: Path, mpiepm: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unfinished, folder)
    newest, before = checkpoint.existing(folder)
    damage(newest, 0.2)
    before.write_bytes(before.read_bytes()[:-100])
    left = files(folder)
    done = mpiepm(2, "run", "--out", folder, "--resume")
    assert done.returncode == 2
    line = next(line for line in done.stderr.splitlines() if line.startswith("mpiepm:"))
    assert f"{newest}: damaged: not what was written: " in line
    assert f"{before}: damaged: it was cut short or changed after it was written" in line
    assert "Traceback" not in done.stderr
    left.pop("run.lock")  # of the killed process
    now = files(folder)
    assert now.pop("run.log").startswith(left.pop("run.log"))
    assert now == left


def test_a_damaged_journal_is_found(unfinished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unfinished, folder)
    params, domain = load(folder / "params.toml"), Domain((33, 50))
    newest, before = checkpoint.existing(folder)
    of_newest, of_before = (checkpoint.read_header(path)["segments"] for path in (newest, before))
    assert len(of_newest) == len(of_before) + 1
    last = folder / "journal" / f"{len(of_before):06d}.h5"
    first = folder / "journal" / "000000.h5"
    shutil.copy(first, last)  # a sound file, but another one
    found, faults, _ = checkpoint.newest_sound(folder, domain, params)
    assert found == before
    assert faults == [f"{last}: is not the segment that belongs to the checkpoint"]
    last.unlink()
    assert f"{last}: no such file" in checkpoint.newest_sound(folder, domain, params)[1][0]
    damage(first, 0.5)
    assert checkpoint.newest_sound(folder, domain, params).lost == [0]
    assert checkpoint.newest_sound(folder, domain, params).path == before  # the newest lacks two
    first.unlink()
    first.mkdir()
    with pytest.raises(ParameterError, match="no sound checkpoint to resume from"):
        checkpoint.newest_sound(folder, domain, params)


def test_a_checkpoint_of_another_run(unfinished: Path, tmp_path: Path) -> None:
    params = load(unfinished / "params.toml", ["run.seed=2"])
    with pytest.raises(ParameterError, match="belongs to a run with other parameters"):
        checkpoint.newest_sound(unfinished, Domain((33, 50)), params)


def test_no_damage_goes_unseen(unfinished: Path, tmp_path: Path) -> None:
    """Any byte, any cut, anything added, and files that never were checkpoints."""
    params, domain = load(unfinished / "params.toml"), Domain((33, 50))
    path = tmp_path / "checkpoint-000001.h5"
    sound = next(iter(checkpoint.existing(unfinished))).read_bytes()
    choose = random.Random(1)
    shutil.copytree(unfinished / "journal", tmp_path / "journal")
    path.write_bytes(sound)
    assert checkpoint.newest_sound(tmp_path, domain, params) == (path, [], [])
    for trial in range(400):
        content = bytearray(sound)
        first = choose.randrange(len(content)) if trial % 2 else len(content) - 1 - choose.randrange(400)
        kind = choose.choice(["flip", "cut", "zeros", "insert", "append", "noise"])
        if kind == "flip":
            content[first] ^= 1 << choose.randrange(8)
        elif kind == "cut":
            del content[first:]
        elif kind == "zeros":
            del content[first:]
            content += bytes(len(sound) - first)
        elif kind == "insert":
            content[first:first] = choose.randbytes(choose.randint(1, 100))
        elif kind == "append":
            content += choose.randbytes(choose.randint(1, 100))
        else:
            content = bytearray(choose.randbytes(first))
        if bytes(content) == sound:
            continue
        path.write_bytes(content)
        with pytest.raises(ParameterError, match="no sound checkpoint"):
            checkpoint.newest_sound(tmp_path, domain, params)
