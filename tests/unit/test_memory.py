"""Memory: what control groups, Slurm and ulimit leave of a node, and what a run needs of it."""

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpiepm.campaign import local
from mpiepm.campaign.resources import Resources
from mpiepm.core.faults import ParameterError
from mpiepm.grid.domain import ALONE
from mpiepm.grid.memory import Limit, Node, available, of_a_process, of_the_node
from mpiepm.io.memory import check, forecast, least
from mpiepm.models.parameters import parse

GB = 10**9
ENOUGH = Limit(2**63 - 1, "no limit")
EPMQ = ("model.temperature=0.1",)
FERRERO = ("model={name='ferrero', temperature=0.2}", "run={equilibrate={time=1}, duration=1}")


def control_groups(folder: Path, mounts: str, groups: str, **limits: str) -> Path:
    """A /proc whose control groups lie in `folder`, in place of FOLDER, with files of these contents."""
    proc = folder / "proc" / "self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text(mounts.replace("FOLDER", str(folder)))
    (proc / "cgroup").write_text(groups)
    for name, text in limits.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc.parent


UNIFIED = "31 23 0:28 / FOLDER/c rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n22 1 0:1 / / rw - ext4 /dev/sda rw\n"
OLD = "35 31 0:32 / FOLDER/c/memory rw - cgroup cgroup rw,memory\n36 31 0:33 / FOLDER/c/cpu rw - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("mounts", "groups", "limits", "expected"),
    [
        (UNIFIED, "0::/a/job/step\n", {"c/a/job/memory.max": "5000\n", "c/a/job/step/memory.max": "max\n"}, 5000),
        (UNIFIED, "0::/a/job\n", {"c/a/memory.max": "4000\n", "c/a/job/memory.max": "5000\n"}, 4000),
        (UNIFIED, "0::/\n", {"c/memory.max": "3000\n"}, 3000),
        (UNIFIED, "0::/a\n", {}, None),
        (OLD, "4:memory:/slurm/job_1\n1:cpu:/\n", {"c/memory/slurm/job_1/memory.limit_in_bytes": "2000\n"}, 2000),
        (OLD, "4:memory:/slurm/job_1\n", {"c/memory/slurm/memory.limit_in_bytes": "1000\n"}, 1000),
        (OLD, "4:memory:/a\n", {"c/memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        # a container that sees its own part of the tree, whose name has a space
        (UNIFIED.replace(" / FOLDER/c", r" /box\0401 FOLDER/c"), "0::/box 1/in\n", {"c/in/memory.max": "700\n"}, 700),
        (OLD + UNIFIED.replace("/c ", "/u "), "0::/x\n4:memory:/y\n",
         {"u/x/memory.max": "max\n", "c/memory/y/memory.limit_in_bytes": "600\n"}, 600),
    ],
)  # fmt: skip
def test_limits_of_control_groups(
    mounts: str, groups: str, limits: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    smallest = min(of_the_node({}, control_groups(tmp_path, mounts, groups, **limits)))
    if expected is None:
        assert smallest.what == "the memory of the node"
    else:
        assert smallest.bytes == expected
        assert smallest.what.startswith("memory.")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "100"}, [Limit(100 * 2**20, "SLURM_MEM_PER_NODE")]),
        ({"SLURM_JOB_ID": "1", "SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "3"},
         [Limit(300 * 2**20, "SLURM_MEM_PER_CPU times SLURM_CPUS_ON_NODE")]),
        ({"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "0"}, []), ({"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "4G"}, []),
        ({"SLURM_MEM_PER_NODE": "100"}, []),
    ],
)  # fmt: skip
def test_memory_of_a_slurm_job(environment: dict[str, str], expected: list[Limit], tmp_path: Path) -> None:
    assert list(of_the_node(environment, tmp_path))[1:] == expected


@pytest.mark.parametrize(("kind", "option"), [(resource.RLIMIT_AS, "v"), (resource.RLIMIT_DATA, "d")])
def test_ulimit(kind: int, option: str) -> None:
    """In a process of its own, which keeps the limit."""
    code = (
        f"import resource; from mpiepm.grid.memory import of_a_process; resource.setrlimit({kind}, (10**12, 10**12)); "
        "print(of_a_process())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == f"Limit(bytes=1000000000000, what='ulimit -{option}')\n"


def test_the_nodes_of_one_process() -> None:
    (node,) = available(ALONE)
    assert node.ranks == (0,)
    assert node.together == min(of_the_node())
    assert node.each == of_a_process()


def nodes(together: int, *ranks: int, each: Limit = ENOUGH) -> list[Node]:
    """Nodes with so many ranks each, which have so many bytes together."""
    starts = [sum(ranks[:k]) for k in range(len(ranks))]
    return [Node(f"n{k}", tuple(range(first, first + n)), Limit(together, "the memory of the node"), each)
            for k, (first, n) in enumerate(zip(starts, ranks, strict=True))]  # fmt: skip


def test_what_cannot_fit_is_refused() -> None:
    """The tables of the engine "event" lie on every rank."""
    params = parse("", [*EPMQ, "lattice.size=[16384, 16384]", "engine.name=event"])
    given = r"lattice.size = \[16384, 16384\], engine.name = 'event'"
    told = f"{given}: 4 of 8 ranks, on n0, need at least 222.3 GB of memory, must be at most 24 GB, the memory of the node"
    with pytest.raises(ParameterError, match=told):
        check(params, nodes(24 * GB, 4, 4))
    told = f"{given}: 1 of 8 ranks, on n0, needs at least 55.57 GB of memory, must be at most 4 GB, ulimit -v"
    with pytest.raises(ParameterError, match=told):
        check(params, nodes(1000 * GB, 8, each=Limit(4 * GB, "ulimit -v")))
    assert check(params, nodes(1000 * GB, 8)) == ""
    assert "may need" in check(params, nodes(800 * GB, 8))


def test_ranks_of_a_node_share_its_memory() -> None:
    """By their own slabs: uneven strips, and the first node has the more."""
    params = parse("", [*EPMQ, "lattice.size=[4500, 6000]", "engine.name=split"])
    for ranks in (1, 2, 3, 5):
        likely, certain = forecast(params, ranks), least(params, ranks)
        assert len(likely) == len(certain) == ranks
        assert all(low < high for low, high in zip(certain, likely, strict=True))
    first, second, third = forecast(params, 3)
    assert first > third
    enough = int((first + second) / 0.9) + 1
    assert check(params, nodes(enough, 2, 1)) == ""
    assert "2 of 3 ranks, on n0, may need" in check(params, nodes(enough - 2, 2, 1))
    assert check(params, nodes(enough - 2, 1, 2)) == ""


@pytest.mark.parametrize("given", [
    *([*EPMQ, f"engine={engine}"] for engine in (
        "{name='sweep'}", "{name='sweep', precision='single', harmonics=1}", "{name='event'}",
        "{name='split', radius=4, strip=8}", "{name='auto'}")),
    [*EPMQ, "model.elasticity=false"], [*EPMQ, "model.elasticity=false", "engine.name=event"],
    ["model.temperature=0", "engine={name='event', dynamics='extremal'}"],
    [*EPMQ, "run.overlap=4", "output={correlations={}, four_point={}}"],
    FERRERO, [*FERRERO, "tracers={number=1000000, interval=1}"],
])  # fmt: skip
@pytest.mark.parametrize("size", [[64, 50], [2049, 1000]])
def test_the_lower_bound_is_below_the_forecast(given: list[str], size: list[int]) -> None:
    params = parse("", [*given, f"lattice.size={size}"])
    for ranks in (1, 3):
        assert all(low < high for low, high in zip(least(params, ranks), forecast(params, ranks), strict=True))


def test_a_plan_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each kind of run, those that may not fit included."""
    monkeypatch.setattr(local, "of_the_node", lambda: iter([Limit(2 * GB, "the memory of the node")]))
    monkeypatch.setattr(local, "of_a_process", lambda: ENOUGH)
    runs = [(64, 1, 1), (64, 2, 1), (1000, 1, 1), (900, 1, 4), (16384, 1, 8), (16384, 2, 8)]  # side, seed, ranks
    points: list[Any] = [
        SimpleNamespace(params=parse("", [*EPMQ, f"lattice.size=[{side}, {side}]", "engine.name=event", f"run.seed={seed}"]),
                        resources=Resources(ranks=ranks))
        for side, seed, ranks in runs
    ]  # fmt: skip
    told = local.misfits(points)
    assert len(told) == 2
    assert "lattice.size = [900, 900], engine.name = 'event': 4 of 4 ranks" in told[0]
    assert "may need" in told[0]
    assert "lattice.size = [16384, 16384], engine.name = 'event': 8 of 8 ranks" in told[1]
    assert "need at least 444.5 GB" in told[1]
