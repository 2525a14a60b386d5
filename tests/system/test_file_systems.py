"""File systems that lack something: locks, fsync of directories. Some calls of the C library are replaced by faulty ones."""

import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mpi4py import MPI

from mpiepm.analysis.verify import verify
from mpiepm.io import parallel

Run = Callable[..., subprocess.CompletedProcess[str]]
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static int fault(const char *name) {
    const char *number = getenv(name);
    return number ? atoi(number) : 0;
}

int flock(int descriptor, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    if (fault("FAULT_FLOCK")) { errno = fault("FAULT_FLOCK"); return -1; }
    return real(descriptor, operation);
}

int fsync(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    struct stat status;
    if (fault("FAULT_SYNC") && fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = fault("FAULT_SYNC");
        return -1;
    }
    return real(descriptor);
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The replacements, compiled."""
    if not shutil.which("gcc"):
        pytest.skip("NOT TESTED: no C compiler for the replaced calls")
    folder = tmp_path_factory.mktemp("library")
    (folder / "faults.c").write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "faults.so", folder / "faults.c", "-ldl"], check=True)
    return folder / "faults.so"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(
        "lattice.size = [16, 20]\nmodel.temperature = 0.1\nengine.name = 'event'\n"
        "run = { origins = 3, equilibrate = { events_per_site = 1 } }\noutput.checkpoint_minutes = 1e-3\n"
    )
    return path


@pytest.mark.parametrize(
    ("number", "ranks"),
    [
        (errno.ENOLCK, 1),
        (errno.EAGAIN, 1),
        pytest.param(errno.ENOLCK, 2, marks=pytest.mark.mpirun),
    ],
)
def test_without_locks(
    number: int, ranks: int, library: Path, params: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """HDF5's own locks are not used, and the run's lock is kept by what stands in it."""
    environment |= {"LD_PRELOAD": str(library), "FAULT_FLOCK": str(number)}
    done = mpiepm(ranks, "run", params, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "checkpoint written" in (tmp_path / "run" / "run.log").read_text()
    assert verify(tmp_path / "run").findings == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_without_fsync_of_directories(
    number: int, library: Path, params: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"LD_PRELOAD": str(library), "FAULT_SYNC": str(number)}
    done = mpiepm(1, "run", params, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert verify(tmp_path / "run").findings == []


@pytest.mark.mpirun
def test_mpi_io_that_does_not_work_here(params: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """ROMIO takes "17" of "17:00" for a type of file system. Rank 0 writes then."""
    environment |= {"OMPI_MCA_io": "romio321"}
    folder = tmp_path / "17:00"
    done = mpiepm(2, "run", params, "--out", folder)
    assert done.returncode == 0, done.stderr
    if parallel.BUILT and "Open MPI v4" in MPI.Get_library_version():
        assert done.stderr.count("parallel HDF5 does not work here, so rank 0 writes for all: ") == 1
        assert "a path without ':' may help" in done.stderr
    assert (folder / "archive.h5").exists()
    assert not list(folder.rglob("*.partial"))
