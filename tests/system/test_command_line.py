"""The program as its user sees it: run, resume, analyse, figure, info, validate."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from archives import contents
from processes import CAP, call, kill, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PARAMS = """
[lattice]
size = [33, 16]
[model]
temperature = 0.1
[run]
equilibrate = { events_per_site = 1 }
origins = 3
overlap = 2
[output]
correlations = {}
four_point = {}
clusters = {}
avalanches = {}
waiting_times = true
event_counts = true
snapshots = [1.0, 5.0]
snapshot_origins = 2
"""
ENGINES = {
    "run": [],  # sweep
    "event": ["--set", "engine.name=event"],
    "split": ["--set", "engine.name=split", "--set", "engine.radius=5", "--set", "engine.strip=10", "--set", "engine.window=3"],
    "extremal": ["--set", "engine.name=event", "--set", "engine.dynamics=extremal", "--set", "model.temperature=0",
                 "--set", "output.lags.first=10", "--set", "output.snapshots=[10]",
                 "--set", "output.avalanches={gaps=[], thresholds=[0.2]}"],
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directories of PARAMS on one rank, one named after each of ENGINES."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "params.toml").write_text(PARAMS)
    for name, overrides in ENGINES.items():
        done = call(clean_environment, "run", folder / "params.toml", "--out", folder / name, *overrides)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.mpirun
@pytest.mark.parametrize(
    ("engine", "first", "second"),
    [
        ("run", 2, 3), ("event", 1, 2), ("split", 1, 3),
    ],
)
def test_killed_and_resumed_gives_the_same_archive(
    finished: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path, engine: str, first: int, second: int
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "mpiepm", "run", str(finished / "params.toml"), "--out", str(folder),
               "--set", "output.checkpoint_minutes=1e-4", *ENGINES[engine]]  # fmt: skip
    if first > 1:
        command = ["mpirun", "-n", str(first), *command]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    wait_for(lambda: len(list(folder.glob("checkpoint-*.h5"))) >= 2, process)
    kill(process, all_ranks=engine == "run")
    assert list(folder.glob("checkpoint-*.h5")), "the run ended before it could be killed"
    assert not (folder / "archive.h5").exists()
    info = mpiepm(1, "info", folder)
    assert "unfinished" in info.stdout
    done = mpiepm(second, "run", "--out", folder, "--resume", "--set", "output.checkpoint_minutes=10")
    assert done.returncode == 0, done.stderr
    assert "tau_alpha" in done.stdout
    assert contents(folder / "archive.h5") == contents(finished / engine / "archive.h5")
    assert sorted(path.name for path in folder.iterdir()) == ["archive.h5", "params.toml", "run.log", "state.h5"]
    assert len(re.findall(" ranks? on ", mpiepm(1, "info", folder).stdout)) == 2  # a line for each stretch of the run


def test_archives_of_all_engines_are_sound(finished: Path, mpiepm: Run) -> None:
    done = mpiepm(1, "verify", *(finished / name for name in ENGINES))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": ok, ") == 4


def test_layout_of_the_archive(finished: Path) -> None:
    path = finished / "run" / "archive.h5"
    origins = xarray.open_dataset(path, group="origins", engine="h5netcdf")
    assert dict(origins.sizes) == {"origin": 3, "x": 33, "y": 16}
    persistence = xarray.open_dataset(path, group="persistence", engine="h5netcdf")
    assert persistence["value"].dims == ("origin", "lag")
    assert persistence["lag"].attrs["units"] == "sweeps"
    # the map of first event times and P(t) are the same information
    for origin in range(3):
        p = persistence["value"][origin].dropna("lag")
        recount = [(origins["first_event_time"][origin] > np.float32(lag)).mean().item() for lag in p["lag"]]
        assert np.allclose(p, recount, atol=2 / (33 * 16))
        assert np.all(np.diff(p) <= 0)
    series = xarray.open_dataset(path, group="series", engine="h5netcdf")
    assert np.all(np.diff(series["time"]) > 0)
    assert np.all(np.diff(series["events"]) >= 0)
    fields = xarray.open_dataset(path, group="fields", engine="h5netcdf")
    assert fields["stress"].dims == ("snapshot", "x", "y")
    assert list(fields["origin"].values) == [0, 0, 1, 1]
    lag = float(fields["lag"][1])
    assert np.array_equal(fields["persistence"][1], origins["first_event_time"][0] > lag)
    histogram = xarray.open_dataset(path, group="histograms/stress", engine="h5netcdf")
    samples = (histogram["counts"].sum("bin") + histogram["outside"]) / (33 * 16)
    assert np.array_equal(samples, samples.astype(int))
    with h5py.File(path) as file:
        assert file.attrs["status"] == b"finished"
        assert b"temperature = 0.1" in file.attrs["params"]
        assert b'"ranks": 1' in file.attrs["provenance"]


def test_analyse_figure_and_info(finished: Path, mpiepm: Run, tmp_path: Path) -> None:
    files = [tmp_path / "numbers.csv", tmp_path / "all.nc"]
    table = mpiepm(1, "analyse", finished / "run", finished / "event", "--save", files[0], "--save", files[1])
    assert table.returncode == 0, table.stderr
    for word in ("tau_alpha", "chi4 peak", "yield rate", "xi_4", "autocorrelation time of P", "events per second"):
        assert table.stdout.count(word) >= 2
    assert len(files[0].read_text().splitlines()) == 3
    result = xarray.open_dataset(files[1])
    assert list(result["engine"].values) == ["sweep", "event"]
    assert np.all(result["tau_alpha_error"] > 0)
    assert result["persistence"].sel(state=0).max() <= 1
    assert result["four_point_structure_factor"].dims == ("state", "map_lag", "shell")
    twice = mpiepm(1, "analyse", finished / "run", finished / "run")
    assert twice.returncode == 2
    assert "the same state point and run.seed = 1" in twice.stderr
    picture = tmp_path / "overview.png"
    assert mpiepm(1, "figure", "overview", finished / "run", "--out", picture).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "parallel_hdf5" in mpiepm(1, "info").stdout


def test_runs_that_were_observed_differently_are_not_averaged(finished: Path, mpiepm: Run, tmp_path: Path) -> None:
    other = mpiepm(1, "run", finished / "params.toml", "--out", tmp_path / "run", "--set", "run.seed=2",
                   "--set", "output.lags.per_decade=8")  # fmt: skip
    assert other.returncode == 0, other.stderr
    table = mpiepm(1, "analyse", finished / "run", tmp_path / "run")
    assert table.returncode == 2
    assert "cannot be averaged, output.lags.per_decade is 16 and 8" in table.stderr


def test_theory(mpiepm: Run) -> None:
    table = mpiepm(1, "theory", "0.1", "--length", "16", "--alpha", "0.11")
    assert table.returncode == 0, table.stderr
    assert "sigma_bar = 0.7494" in table.stdout
    path = mpiepm(1, "theory", "0.1", "--alpha", "0.11", "--relaxation", "1")
    assert path.returncode == 0, path.stderr
    end = re.search(r"stationary (\S+)", path.stdout)
    assert end is not None
    assert float(path.stdout.split()[-1]) == pytest.approx(float(end[1]), rel=1e-3)
    for arguments, message in (
        (["0.0001"], "T = 0.0001: must be at least 0.0015"), (["0.1", "--alpha", "1"], "--alpha 1: must be above 0 and below")
    ):
        wrong = mpiepm(1, "theory", *arguments)
        assert wrong.returncode == 2
        assert message in wrong.stderr


@pytest.mark.mpirun
def test_auto_says_what_it_chose_and_why(finished: Path, mpiepm: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = mpiepm(2, "run", finished / "params.toml", "--out", folder, "--set", "engine.name=auto",
                  "--set", "lattice.size=[128, 64]", "--set", "run.origins=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for text in ((folder / "run.log").read_text(), mpiepm(1, "info", folder).stdout):
        assert re.search(r"engine (event|split|sweep): seconds per sweep at \S+ events per sweep: event .*, sweep", text)


def test_validate(mpiepm: Run, environment: dict[str, str]) -> None:
    """The engines against each other and against closed forms, of which a wrong one is noticed."""
    done = mpiepm(1, "validate", "--quick", "0.1")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "all passed"
    assert sum(line.endswith("  pass") for line in lines) == 2 * 7
    wrong = (
        "from types import SimpleNamespace\n"
        "from mpiepm import cli, validation\n"
        "forms = validation.noninteracting\n"
        "validation.noninteracting = SimpleNamespace(**vars(forms))\n"
        "validation.noninteracting.inverse_yield_rate = lambda temperature: 1.2 * forms.inverse_yield_rate(temperature)\n"
        "cli.main(['validate', '--quick', '0.2'])\n"
    )
    done = subprocess.run([sys.executable, "-c", wrong], capture_output=True, text=True, timeout=CAP, env=environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1] == "3 failed"
    assert [line.split(",")[0] for line in done.stdout.splitlines() if line.endswith("  FAIL")] == ["event", "sweep", "split"]


def test_nothing_is_overwritten_without_being_told(finished: Path, mpiepm: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    quick = ["--set", "run.origins=1", "--set", "lattice.size=[8, 8]"]
    assert mpiepm(1, "run", finished / "params.toml", "--out", folder, *quick).returncode == 0
    (folder / "notes.txt").write_text("mine")
    before = contents(folder / "archive.h5")
    again = mpiepm(1, "run", finished / "params.toml", "--out", folder, *quick)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    assert "--overwrite" in again.stderr
    other = mpiepm(1, "run", finished / "params.toml", "--out", folder, "--resume")
    assert other.returncode == 2
    assert "lattice.size is [8, 8] there and [33, 16] here" in other.stderr
    (folder / "checkpoint-000001.h5").write_text("left by a kill just after the archive was complete")
    assert "nothing to resume" in mpiepm(1, "run", "--out", folder, "--resume").stdout
    assert not (folder / "checkpoint-000001.h5").exists()
    assert contents(folder / "archive.h5") == before
    changed = mpiepm(1, "run", finished / "params.toml", "--out", folder, *quick, "--overwrite", "--set", "run.seed=2")
    assert changed.returncode == 0
    assert contents(folder / "archive.h5") != before
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.mpirun
def test_too_many_ranks(finished: Path, mpiepm: Run, tmp_path: Path) -> None:
    done = mpiepm(4, "run", finished / "params.toml", "--out", tmp_path / "run", "--set", "lattice.size=[64, 5]")
    assert done.returncode == 2
    assert "lattice.size = [64, 5], engine.name = 'sweep': 4 ranks are too many, must be at most 3" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [("--help", 0), ("run --help", 0), ("info", 0), ("info run", 0), ("verify run absent", 2), ("verify run damaged run", 1)],
)
def test_a_reader_may_leave(finished: Path, environment: dict[str, str], command: str, code: int) -> None:
    """As ``head`` does: no traceback, and the exit code of all the work."""
    if not (finished / "damaged").exists():
        (finished / "damaged").mkdir()
        (finished / "damaged" / "params.toml").write_text("[model")
    reader, writer = os.pipe()
    os.close(reader)  # it has left before the first line
    line = [sys.executable, "-m", "mpiepm", *command.split()]
    done = subprocess.run(
        line, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=100, env=environment, cwd=finished
    )
    os.close(writer)
    assert done.returncode == code
    assert done.stderr.count("\n") == (code == 2), done.stderr


@pytest.mark.mpirun
def test_an_exception_on_one_rank_ends_all(finished: Path, environment: dict[str, str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from mpi4py import MPI\n"
        "from mpiepm import cli, simulation\n"
        "advance = simulation.Simulation.advance\n"
        "def broken(self, *until):\n"
        "    if MPI.COMM_WORLD.rank == 1 and self.state.events > 1000: raise RuntimeError('on purpose')\n"
        "    return advance(self, *until)\n"
        "simulation.Simulation.advance = broken\n"
        f"cli.main(['run', {str(finished / 'params.toml')!r}, '--out', {str(tmp_path / 'run')!r}])\n"
    )
    command = ["mpirun", "-n", "2", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert done.returncode not in (0, 2)
    assert "rank 1 of 2 failed" in done.stderr
    assert "on purpose" in done.stderr
