"""The cache of compiled functions: nothing is taken for what it is not, and a run goes on where it cannot be kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpiepm.core.compile_cache import function_key
from mpiepm.core.jit import njit

LIBRARY = """\
from typing import NamedTuple
from mpiepm.core.jit import njit

class Rates(NamedTuple):
    slow: float
    fast: float

@njit
def drop(x):
    return 2.0 * x

@njit
def event(x):
    return drop(x) + 1.0

@njit
def slow(rates):
    return rates.slow
"""
PLAIN = "import library; print(library.event(3.0))"
REPLACED = """\
import library
from mpiepm.core.jit import njit
@njit
def drop(x):
    return 10.0 * x
library.drop = drop
print(library.event(3.0))
"""


def python(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script beside the library with a cache of its own."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    settings = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path} | environment
    return subprocess.run([sys.executable, "-c", script], cwd=folder, env=settings, capture_output=True, text=True)


def result(folder: Path, script: str) -> float:
    done = python(folder, script)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "library.py").write_text(LIBRARY)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache" / "mpiepm" / "numba").iterdir()}


def test_a_replaced_function_counts_and_stays_out_of_other_runs(folder: Path) -> None:
    """Cold: the replacement is compiled in, and the plain program does not find it. Warm: the replacement still counts."""
    assert result(folder, REPLACED) == 31.0
    assert result(folder, PLAIN) == 7.0
    assert result(folder, REPLACED) == 31.0


def test_an_edit_recompiles_what_it_concerns_and_nothing_else(folder: Path) -> None:
    script = "import library; print(library.event(3.0) + library.slow(library.Rates(1.0, 2.0)))"
    assert result(folder, script) == 8.0
    before = files(folder)
    (folder / "library.py").write_text("# a comment moves all lines\n" + LIBRARY.replace("2.0 * x", "5.0 * x"))
    assert result(folder, script) == 17.0
    assert {name.split("-")[0] for name in files(folder) - before} == {"drop", "event"}


def test_fields_that_change_places_are_another_type(folder: Path) -> None:
    script = "import library; print(library.slow(library.Rates(slow=1.0, fast=2.0)))"
    assert result(folder, script) == 1.0
    (folder / "library.py").write_text(LIBRARY.replace("slow: float\n    fast: float", "fast: float\n    slow: float"))
    assert result(folder, script) == 1.0


def test_what_compiled_once_is_found_again(folder: Path) -> None:
    report = "; print(sum(library.event.stats.cache_hits.values()))"
    script = "import library; library.event(3.0)" + report
    assert (result(folder, script), result(folder, script)) == (0.0, 1.0)


def test_settings_of_numba_are_left_to_the_user(folder: Path) -> None:
    script = "import numba; before = numba.config.CACHE_DIR; import library; assert numba.config.CACHE_DIR == before"
    assert python(folder, script).returncode == 0


def test_a_damaged_file_is_compiled_anew(folder: Path) -> None:
    result(folder, PLAIN)
    for path in (folder / "cache" / "mpiepm" / "numba").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    done = python(folder, PLAIN)
    assert (done.returncode, done.stdout.strip()) == (0, "7.0")
    assert "cannot be used" in done.stderr


def test_no_place_for_the_cache_is_a_warning(folder: Path) -> None:
    (folder / "file").touch()
    nowhere = {name: str(folder / "file") for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR")}
    script = "import tempfile; tempfile.tempdir = '/dev/null'; " + PLAIN
    done = python(folder, script, **nowhere)
    assert (done.returncode, done.stdout.strip()) == (0, "7.0")
    assert done.stderr.count("\n") == 1
    assert "no folder for compiled functions" in done.stderr


def test_a_full_disk_is_a_warning(folder: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
    done = python(folder, limit + PLAIN)
    assert (done.returncode, done.stdout.strip()) == (0, "7.0")
    assert done.stderr.count("\n") == 1
    assert "cannot be kept" in done.stderr
    assert files(folder) == set()


def test_the_key_covers_constants_defaults_and_closures() -> None:
    def with_factor(factor: float) -> object:
        @njit
        def scaled(x: float) -> float:
            return factor * x

        return scaled.py_func

    assert function_key(with_factor(2.0)) == function_key(with_factor(2.0))
    assert function_key(with_factor(2.0)) != function_key(with_factor(3.0))
