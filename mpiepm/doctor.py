"""``mpiepm doctor``: can this machine do what a run needs? One line for each check, with a remedy where it fails.

The ranks are processes of their own (`mpiepm.doctor_ranks`), started by the launcher that is to start runs: an MPI library
that cannot start takes its process with it, and must not take this one.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mpiepm.core.amounts import number_of
from mpiepm.core.cores import available_cores

_NO_JOBS = "no jobs can be submitted: try again later, or ask your administrators"
TIMEOUT = 60.0  # seconds for the ranks, and for an answer of Slurm
Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes
    ----------
    remedy : what to do about it, "" if all is well
    """

    verdict: Verdict
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:8s} {self.text}" + f"; {self.remedy}" * bool(self.remedy)


def examine(folder: Path, launcher: str, ranks: int) -> Iterator[Finding]:
    """All checks, one after the other.

    Parameters
    ----------
    folder : where runs are to be written;  ranks : how many are tried
    launcher : what starts them, as "mpirun" or "srun --mpi=pmix"
    """
    yield from check_ranks(folder, launcher, ranks)
    yield check_sync(folder)
    yield check_locks(folder)
    yield check_cache()
    yield check_slurm()


def check_ranks(folder: Path, launcher: str, ranks: int) -> Iterator[Finding]:
    """Start some ranks: do they find each other, have they cores of their own, does parallel HDF5 write into the folder?"""
    command = [*shlex.split(launcher), "-n", str(ranks), sys.executable, "-m", "mpiepm.doctor_ranks", str(folder)]
    shown = f"{launcher} -n {ranks}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        yield Finding("failed", f"{shown}: no such program", "load the module of your MPI, or name another one by --launcher")
        return
    except subprocess.TimeoutExpired:
        yield Finding("failed", f"{shown}: no answer within {TIMEOUT:.0f} s", "try it on a compute node")
        return
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not answers:
        told = next((line.strip() for line in done.stderr.splitlines() if any(map(str.isalpha, line))), "nothing said")
        yield Finding(
            "failed", f"{shown}: ended with code {done.returncode}: {told}",
            "on a login node MPI may be forbidden: try it in a job; else see the message of your MPI",
        )  # fmt: skip
        return
    yield ranks_found(answers, ranks, shown)
    if answers[0]["ranks"] == ranks:
        yield cores_found(answers[0])
        yield writing_found(answers[0], folder)


def ranks_found(answers: list[dict[str, Any]], ranks: int, shown: str) -> Finding:
    """From what every communicator's first rank says."""
    first = answers[0]
    if first["ranks"] != ranks:
        return Finding(
            "failed", f"{shown}: {len(answers)} processes that are each rank 0 of {first['ranks']} to {first['library']}",
            "start them by the mpirun of that library, or by srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)",
        )  # fmt: skip
    where = f"on {len(set(first['hosts']))} hosts" if len(set(first["hosts"])) > 1 else f"on {first['hosts'][0]}"
    together = " see each other" if ranks > 1 else ""
    return Finding("ok", f"{shown}: {number_of(ranks, 'rank')} {where}{together} ({first['library']})")


def cores_found(answer: dict[str, Any]) -> Finding:
    """Do the ranks of a host share cores that they need not share?"""
    by_host: dict[str, list[frozenset[int]]] = {}
    for host, cores in zip(answer["hosts"], answer["cores"], strict=True):
        by_host.setdefault(host, []).append(frozenset(cores))
    for host, bound in by_host.items():
        if len(frozenset().union(*bound)) < len(bound):
            return Finding(
                "warning", f"cores: {len(bound)} ranks on {host} share {len(frozenset().union(*bound))}",
                f"ask for as many cores as ranks (this process may use {available_cores()}), and mpirun for --bind-to core",
            )  # fmt: skip
    return Finding("ok", "cores: every rank has one at least")


def writing_found(answer: dict[str, Any], folder: Path) -> Finding:
    """Does parallel HDF5 write there?"""
    if not answer["parallel"]:
        return Finding("warning", "HDF5 is serial: rank 0 writes all files", "set up with a parallel HDF5 for large lattices")
    if answer["fault"]:
        return Finding(
            "failed", f"parallel HDF5 cannot write in {folder}: {answer['fault']}",
            "try HDF5_DO_MPI_FILE_SYNC=0, HDF5_USE_FILE_LOCKING=FALSE, or another file system",
        )  # fmt: skip
    return Finding("ok", f"parallel HDF5 {answer['hdf5']} writes in {folder}")


def check_sync(folder: Path) -> Finding:
    """Can files and directories be flushed to the disk?"""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            os.fsync(file.fileno())
    except OSError as error:
        return Finding("failed", f"{folder}: cannot be written: {error.strerror}", "choose a folder that can")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        return Finding("warning", f"fsync of {folder}: {error.strerror}", "a crash of the machine may lose the newest file")
    finally:
        os.close(descriptor)
    return Finding("ok", f"fsync works in {folder}")


def check_locks(folder: Path) -> Finding:
    """Does the kernel lock files there?"""
    import fcntl

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Finding("warning", f"locks: {error.strerror} in {folder}", "runs are told apart by the time of run.lock alone")
    return Finding("ok", f"locks work in {folder}")


def check_cache() -> Finding:
    """Is there a place for compiled functions?"""
    from mpiepm.core.compile_cache import directory

    path = directory()
    if path is None:
        return Finding("warning", "compiled functions: no folder can be written", "set NUMBA_CACHE_DIR to one that can")
    return Finding("ok", f"compiled functions are kept in {path}")


def check_slurm() -> Finding:
    """Does Slurm answer, if it is there?"""
    try:
        done = subprocess.run(["sinfo", "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        asked = subprocess.run(["squeue", "--me", "--noheader"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except OSError:
        return Finding("ok", f"Slurm: none on {platform.node()}; campaigns run here by `mpiepm campaign run`")
    except subprocess.TimeoutExpired:
        return Finding("warning", f"Slurm: no answer within {TIMEOUT:.0f} s", _NO_JOBS)
    if asked.returncode:
        told = (asked.stderr.strip().splitlines() or ["nothing said"])[-1]
        return Finding("warning", f"Slurm does not answer: {told}", _NO_JOBS)
    return Finding("ok", f"Slurm answers ({done.stdout.strip()})")
