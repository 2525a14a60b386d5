"""Tests on one rank and on many.

`run/test.sh` runs pytest plainly, and then under mpirun on 2, 3 and 4 ranks with the tests marked ``parallel``. There a
test passes only if it passes on every rank, and a rank that fails while the others wait for it in a collective call
ends the whole job after a grace time instead of hanging it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from mpi4py import MPI
from processes import CAP, call

COMM = MPI.COMM_WORLD
VERDICTS = COMM.Dup()  # apart from what a test may leave pending
GRACE = 300.0  # seconds; ranks of a loaded machine are far apart


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what belongs to this number of ranks, and leave out the long validations unless they are asked for."""
    keep, drop = [], []
    for item in items:
        marker = item.get_closest_marker("parallel")
        ranks = marker.args if marker else (1,)
        long = item.get_closest_marker("statistics") and "statistics" not in config.option.markexpr
        (drop if COMM.size not in ranks or long else keep).append(item)
    config.hook.pytest_deselected(items=drop)
    items[:] = keep


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A collective verdict: the test fails on all ranks if it fails on any."""
    error: BaseException | None = None
    result = None
    try:
        result = yield
    except BaseException as fault:
        error = fault
    if COMM.size > 1:
        verdict = f"rank {COMM.rank}: {error!r}" if error is not None else ""
        request = VERDICTS.Ibarrier()
        deadline = time.monotonic() + GRACE
        while not request.Test():
            if time.monotonic() > deadline:
                print(f"{item.nodeid}: {verdict or 'waited in vain for the other ranks'}", file=sys.stderr, flush=True)
                COMM.Abort(1)
            time.sleep(0.001)
        verdicts = [v for v in VERDICTS.allgather(verdict) if v]
        if verdicts and error is None:
            pytest.fail(f"failed elsewhere: {'; '.join(verdicts)}")
    if error is not None:
        raise error
    return result


@pytest.fixture
def shared_path(tmp_path: Path) -> Path:
    """A temporary folder that all ranks see under the same name."""
    path: Path = COMM.bcast(tmp_path)
    return path


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """Environment for a program under mpirun, without what this process's own MPI has put there."""
    ours = ("OMPI_", "PMIX", "PMI_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    more_than_cores = {  # Open MPI 4, 5
        "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_mpi_yield_when_idle": "1",
    }  # fmt: skip
    return kept | root | more_than_cores


@pytest.fixture
def environment(clean_environment: dict[str, str]) -> dict[str, str]:
    """The same, which a test may change for what it starts."""
    return dict(clean_environment)


@pytest.fixture
def mpiepm(
    request: pytest.FixtureRequest, clean_environment: dict[str, str], environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line on some ranks as a user would: mpiepm(ranks, *arguments) -> finished process.

    It is a call in this process, which saves the start of another, unless the test has changed `environment` or is marked
    ``mpirun``: the MPI of this process has set variables that a mpirun started from here would see.
    """

    def run(ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        several = request.node.get_closest_marker("mpirun")
        if not several and environment == clean_environment:
            return call(environment, *arguments)
        command = [sys.executable, "-m", "mpiepm", *map(str, arguments)]
        if ranks > 1:
            assert several, "a test of several ranks lacks its mark"
            command = ["mpirun", "-n", str(ranks), *command]
        return subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)

    return run
