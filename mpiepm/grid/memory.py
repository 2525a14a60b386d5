"""Memory that the ranks may use, node by node: what the node has, and what control groups, Slurm and ulimit leave of it."""

import os
import re
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mpi4py import MPI


class Limit(NamedTuple):
    """So many bytes, and what sets them."""

    bytes: int
    what: str


class Node(NamedTuple):
    """Ranks that share a node: what they may use together, and each of them alone.

    Attributes
    ----------
    name : of the node;  ranks : numbers of its ranks
    """

    name: str
    ranks: tuple[int, ...]
    together: Limit
    each: Limit


def available(comm: MPI.Intracomm) -> list[Node]:
    """The nodes of all ranks, the same list on all. Collective."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    leader = int(node.bcast(comm.rank))
    node.Free()
    found = comm.allgather((leader, MPI.Get_processor_name(), min(of_the_node()), of_a_process()))
    nodes = []
    for first in sorted({leader for leader, *_ in found}):
        ranks = tuple(rank for rank, (leader, *_) in enumerate(found) if leader == first)
        together, each = (min(found[rank][k] for rank in ranks) for k in (2, 3))
        nodes.append(Node(found[first][1], ranks, together, each))
    return nodes


def of_the_node(environment: Mapping[str, str] = os.environ, proc: Path = Path("/proc")) -> Iterator[Limit]:
    """All limits on what the processes of this job may use together on this node."""
    yield Limit(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the memory of the node")
    yield from _control_groups(proc)
    yield from _slurm(environment)


def of_a_process() -> Limit:
    """What a process alone may use: ulimit -v and -d."""
    kinds = ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d"))
    limits = [Limit(resource.getrlimit(kind)[0], what) for kind, what in kinds]
    return min((limit for limit in limits if limit.bytes != resource.RLIM_INFINITY), default=Limit(2**63 - 1, "no limit"))


def _slurm(environment: Mapping[str, str]) -> Iterator[Limit]:
    """Memory of the job on this node; Slurm states it in MB, and 0 where it sets no limit."""
    if "SLURM_JOB_ID" not in environment:
        return
    node, core, cores = (
        int(text) if (text := environment.get(f"SLURM_{name}", "")).isdecimal() else 0
        for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE")
    )
    if node:
        yield Limit(node * 2**20, "SLURM_MEM_PER_NODE")
    if core and cores:
        yield Limit(core * cores * 2**20, "SLURM_MEM_PER_CPU times SLURM_CPUS_ON_NODE")


def _control_groups(proc: Path) -> Iterator[Limit]:
    """Limits of the control groups of this process, version 1 and 2, and of those above them."""
    try:
        groups = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
        mounts = [line.partition(" - ")[::2] for line in (proc / "self" / "mountinfo").read_text().splitlines()]
    except OSError:  # not on Linux
        return
    old = next((path for _, controllers, path in groups if "memory" in controllers.split(",")), None)
    unified = next((path for number, _, path in groups if number == "0"), None)
    for place, kind in mounts:
        root, mount = (_unescaped(field) for field in place.split()[3:5])
        system, *_, options = kind.split()
        if system == "cgroup2":
            path, name = unified, "memory.max"
        elif system == "cgroup" and "memory" in options.split(","):
            path, name = old, "memory.limit_in_bytes"
        else:
            continue
        if path is None:
            continue
        inside = Path(path.removeprefix(root.rstrip("/")).lstrip("/"))  # a container may see only its part of the tree
        for folder in (inside, *inside.parents):
            with suppress(OSError, ValueError):  # no limit: no such file, or "max"
                yield Limit(int((Path(mount) / folder / name).read_text()), f"{name} of the control group /{folder}")


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
