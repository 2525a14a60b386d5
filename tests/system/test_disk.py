"""Disks that are full, too small, read-only or gone: the run says so and ends, and goes on when there is room."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from archives import contents
from processes import CAP, call, wait_for

from mpiepm.runtime.progress import _LogFile

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PARAMS = """
[lattice]
size = [64, 48]
[model]
temperature = 0.1
[run]
equilibrate = { events_per_site = 1 }
origins = 4
[output]
checkpoint_minutes = 1e-4
lags = { first = 0.1, per_decade = 4 }
snapshots = [0.5, 1.0, 2.0]
snapshot_origins = 4
"""
LIMITED = """
import os, resource, sys
from mpiepm import cli
from mpiepm.io import hdf5, space
limit, rank = os.environ.get("LIMIT"), os.environ.get("OMPI_COMM_WORLD_RANK", "0")
if limit and rank == os.environ.get("LIMITED_RANK", rank):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
if os.environ.get("BLIND"):  # nobody looks ahead: the writes themselves fail
    hdf5.require = lambda path, wanted: None
    space.check = lambda params, folder: ""
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def finished(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run, and its parameters."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "params.toml").write_text(PARAMS)
    done = call(clean_environment, "run", folder / "params.toml", "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; needs to be root, and to be allowed to mount."""
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    if request.param == "tmpfs":
        commands = [["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]]
    else:
        with image.open("wb") as file:
            file.truncate(8_000_000)
        commands = [["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], ["mount", "-o", "loop", str(image), str(folder)]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True) if shutil.which(command[0]) else None
        if done is None or done.returncode:
            pytest.skip(f"no small {request.param} here, so full disks are NOT TESTED: {done.stderr if done else command[0]}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def start(
    environment: dict[str, str], ranks: int, folder: Path, arguments: list[str], *, blind: bool
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", LIMITED, "run", *arguments, "--out", str(folder)]
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    environment = environment | ({"BLIND": "1"} if blind else {})
    return subprocess.Popen(
        [*launcher, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip


def wait_for_checkpoints(folder: Path, number: int = 2) -> None:
    wait_for((folder / f"checkpoint-{number:06d}.h5").exists)


def fails(process: "subprocess.Popen[str]", *expected: str, code: int = 1) -> None:
    """It ends with this exit code and one line of ours that says these."""
    _, errors = process.communicate(timeout=CAP)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line.startswith("mpiepm: ") and "warning" not in line]
    assert len(lines) == 1, errors
    for text in expected:
        assert text in lines[0]


def finishes(mpiepm: Run, ranks: int, folder: Path, finished: Path) -> None:
    assert not list(folder.rglob("*.partial"))
    assert list(folder.glob("checkpoint-*.h5"))
    done = mpiepm(ranks, "run", "--out", folder, "--resume", "--set", "output.checkpoint_minutes=10")
    assert done.returncode == 0, done.stderr
    assert contents(folder / "archive.h5") == contents(finished / "run" / "archive.h5")


@pytest.mark.mpirun
@pytest.mark.parametrize(
    ("small_disk", "ranks", "blind"), [("tmpfs", 1, False), ("tmpfs", 3, True), ("ext4", 2, True)], indirect=["small_disk"]
)
def test_full_disk(
    finished: Path, mpiepm: Run, environment: dict[str, str], small_disk: Path, ranks: int, blind: bool
) -> None:
    folder = small_disk / "run"
    process = start(environment, ranks, folder, [str(finished / "params.toml")], blind=blind)
    wait_for_checkpoints(folder)
    with (small_disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 14))
    fails(process, str(folder), "cannot be written", " wanted, ", " free)")
    (small_disk / "ballast").unlink()
    finishes(mpiepm, 2, folder, finished)


@pytest.mark.mpirun
@pytest.mark.parametrize(("ranks", "limit", "what"), [(1, 200_000, "archive"), (3, 60_000, "checkpoint")])
def test_limit_of_file_size_on_one_rank(
    finished: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path, ranks: int, limit: int, what: str
) -> None:
    folder = tmp_path / "run"
    if what == "checkpoint":  # there is a good one from before
        process = start(environment, 1, folder, [str(finished / "params.toml")], blind=False)
        wait_for_checkpoints(folder)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    limited = environment | {"LIMIT": str(limit), "LIMITED_RANK": str(ranks - 1)}
    arguments = ["--resume", str(finished / "params.toml")]
    process = start(limited, ranks, folder, arguments, blind=True)
    by = f" by rank {ranks - 1}" if ranks > 1 else ""
    fails(process, f"{what}", f"cannot be written{by}", "wanted", f"files limited to {limit / 1000:.4g} kB")
    finishes(mpiepm, 1, folder, finished)


@pytest.mark.mpirun
def test_directory_that_vanishes(finished: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    process = start(environment, 2, folder, [str(finished / "params.toml")], blind=False)
    wait_for_checkpoints(folder)
    folder.rename(elsewhere)
    fails(process, str(folder), "No such file or directory")
    elsewhere.rename(folder)
    finishes(mpiepm, 1, folder, finished)


def test_directory_that_becomes_read_only(finished: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    without = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.getuid() == 0 else []
    if without and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv: read-only directories are NOT TESTED")
    command = [*without, sys.executable, "-m", "mpiepm", "run", str(finished / "params.toml"), "--out", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for_checkpoints(folder)
    for path in (folder, folder / "journal"):
        path.chmod(0o555)
    fails(process, str(folder), "Permission denied")
    for path in (folder, folder / "journal"):
        path.chmod(0o755)
    for path in folder.rglob("*.partial"):
        path.unlink()  # it was being written, and cannot be removed from a read-only directory
    finishes(mpiepm, 1, folder, finished)


@pytest.mark.mpirun
def test_what_cannot_fit_is_refused_and_changes_nothing(finished: Path, environment: dict[str, str], tmp_path: Path) -> None:
    params, folder = str(finished / "params.toml"), tmp_path / "run"
    large = start(environment, 1, folder, [params, "--set", "run.origins=1_000_000_000"], blind=False)
    fails(large, "the archive takes 14.88 TB (most of it origins/first_event_time with 12.29 TB), ", "are free", code=2)
    limited = start(environment | {"LIMIT": "20000"}, 2, folder, [params], blind=False)
    fails(limited, "the archive takes ", "files are limited to 20 kB", code=2)
    assert not folder.exists()


def test_parameters_that_cannot_be_written(finished: Path, environment: dict[str, str], tmp_path: Path) -> None:
    process = start(environment | {"LIMIT": "400"}, 1, tmp_path / "run", [str(finished / "params.toml")], blind=True)
    fails(process, "params.toml: cannot be written: File too large", "files limited to 400 bytes")
    assert not (tmp_path / "run").exists()


def test_a_log_that_cannot_be_written_ends_no_run(capfd: pytest.CaptureFixture[str]) -> None:
    log = _LogFile("/dev/full", maxBytes=1000, backupCount=1, encoding="utf-8", delay=True)
    logger = logging.Logger("run")
    logger.addHandler(log)
    for _ in range(3):
        logger.info("a line")
    warnings = capfd.readouterr().err
    assert warnings.startswith("mpiepm: warning: /dev/full: cannot be written: No space left on device (")
    assert warnings.count("\n") == 1


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    log = _LogFile(tmp_path / "run.log", maxBytes=1000, backupCount=1, encoding="utf-8", delay=True)
    for k in range(1000):
        log.handle(logging.LogRecord("run", logging.INFO, "", 0, f"line {k}", None, None))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.log", "run.log.1"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert "line 999" in (tmp_path / "run.log").read_text()
