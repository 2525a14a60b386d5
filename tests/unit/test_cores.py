"""Cores that a process may use: its affinity, and the limits of its control groups."""

import os
from pathlib import Path

import pytest

from mpiepm.core.cores import available_cores


def groups(tmp_path: Path, line: str, **files: str) -> tuple[Path, Path]:
    """A file as /proc/self/cgroup and a tree of groups with these files, named by their path with __ for /."""
    (tmp_path / "own").write_text(line + "\n")
    for name, text in files.items():
        path = tmp_path / "groups" / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cpu_cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "own", tmp_path / "groups"


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def test_affinity_counts_not_the_machine(tmp_path: Path) -> None:
    assert available_cores(*groups(tmp_path, "0::/a/b", a__b__cpu_max="max 100000")) == 16
    assert available_cores(tmp_path / "none", tmp_path) == 16


def test_a_group_above_limits_as_well(tmp_path: Path) -> None:
    found = groups(tmp_path, "0::/job/step", job__cpu_max="250000 100000", job__step__cpu_max="max 100000")
    assert available_cores(*found) == 3


def test_version_1(tmp_path: Path) -> None:
    found = groups(tmp_path, "4:cpu,cpuacct:/job", cpu__job__cpu_cfs_quota_us="50000", cpu__job__cpu_cfs_period_us="100000")
    assert available_cores(*found) == 1
