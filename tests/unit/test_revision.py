"""The revision of the sources that run, wherever they lie."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mpiepm

PACKAGE = Path(mpiepm.__file__).parent


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def revision(folder: Path) -> str:
    """What the copy of the package in a folder says."""
    script = "from mpiepm.core.revision import git_revision; print(git_revision())"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of somebody else, with our package somewhere in it that it does not know."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "theirs")
    shutil.copytree(PACKAGE, tmp_path / "site" / "mpiepm", ignore=shutil.ignore_patterns("__pycache__", "revision.txt"))
    return tmp_path


def test_another_repository_is_not_asked(repository: Path) -> None:
    assert revision(repository / "site") == "unknown"
    shutil.move(repository / "site" / "mpiepm", repository / "mpiepm")  # at its top, but not tracked
    assert revision(repository) == "unknown"


def test_what_was_noted_when_the_package_was_built(repository: Path) -> None:
    (repository / "site" / "mpiepm" / "revision.txt").write_text("0123abc\n")
    assert revision(repository / "site") == "0123abc"


def test_our_own_repository(repository: Path) -> None:
    shutil.move(repository / "site" / "mpiepm", repository / "mpiepm")
    git(repository, "add", "mpiepm")
    git(repository, "commit", "--quiet", "--message", "ours")
    head = git(repository, "rev-parse", "--short=12", "HEAD")
    assert revision(repository) == head
    (repository / "mpiepm" / "core" / "units.py").write_text("")
    assert revision(repository) == f"{head}-dirty"
