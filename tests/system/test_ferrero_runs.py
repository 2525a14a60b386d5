"""The model "ferrero" as its user runs it: the same archive on any number of ranks and after a kill, tracers included."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray
from archives import contents
from processes import call, kill, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PARAMS = """
[lattice]
size = [33, 50]
[model]
name = "ferrero"
temperature = 0.2
[run]
equilibrate = { time = 4 }
duration = 20
[tracers]
number = 150
interval = 0.7
[output]
snapshots = [1.0, 20.0]
event_counts = true
"""


@pytest.fixture(scope="module")
def finished(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of PARAMS on one rank."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "params.toml").write_text(PARAMS)
    done = call(clean_environment, "run", folder / "params.toml", "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.mpirun
@pytest.mark.parametrize(("first", "second"), [(1, 3), (3, 2)])
def test_killed_and_resumed_gives_the_same_archive(
    finished: Path, mpiepm: Run, environment: dict[str, str], tmp_path: Path, first: int, second: int
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "mpiepm", "run", str(finished / "params.toml"), "--out", str(folder),
               "--set", "output.checkpoint_minutes=1e-5"]  # fmt: skip
    if first > 1:
        command = ["mpirun", "-n", str(first), *command]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    wait_for((folder / "checkpoint-000030.h5").exists, process)  # by then tracers move
    kill(process, all_ranks=False)
    assert list(folder.glob("checkpoint-*.h5")), "the run ended before it could be killed"
    assert not (folder / "archive.h5").exists()
    done = mpiepm(second, "run", "--out", folder, "--resume", "--set", "output.checkpoint_minutes=10")
    assert done.returncode == 0, done.stderr
    assert "activity" in done.stdout
    assert contents(folder / "archive.h5") == contents(finished / "run" / "archive.h5")
    assert sorted(path.name for path in folder.iterdir()) == ["archive.h5", "params.toml", "run.log", "state.h5"]


def test_random_model_with_the_activity_of_a_run(mpiepm: Run, finished: Path, tmp_path: Path) -> None:
    text = PARAMS.replace("temperature = 0.2", "activation = 'random'")
    (tmp_path / "random.toml").write_text(text)
    arguments = ["run", tmp_path / "random.toml", "--out", tmp_path / "run", "--set", f"model.activity_from={finished / 'run'}"]
    done = mpiepm(1, *arguments)
    assert done.returncode == 0, done.stderr
    given = tomllib.loads((tmp_path / "run" / "params.toml").read_text())["model"]
    series = xarray.open_dataset(finished / "run" / "archive.h5", group="series", engine="h5netcdf")
    assert given["activity"] == pytest.approx(float(series["activity"][series["origin"] == 0].mean()))
    assert "activity_from" not in given
    assert "nothing to resume" in mpiepm(1, *arguments, "--resume").stdout
    wrong = mpiepm(1, "run", tmp_path / "random.toml", "--set", f"model.activity_from={tmp_path}")
    assert wrong.returncode == 2
    assert "model.activity_from = " in wrong.stderr
    assert "no such file" in wrong.stderr


def test_layout_of_the_archive(finished: Path, mpiepm: Run) -> None:
    path = finished / "run" / "archive.h5"
    tracers = xarray.open_dataset(path, group="tracers", engine="h5netcdf")  # and left open, with HDF5's locks
    assert tracers["position"].dims == ("frame", "tracer", "component")
    assert np.allclose(np.diff(tracers["time"]), 0.7)
    assert tracers["position"].shape == (29, 150, 2)
    assert np.all(tracers["position"][0] >= 0)
    assert np.all(tracers["position"][0] < [33, 50])
    steps = np.diff(tracers["position"], axis=0)
    assert 0 < np.abs(steps).max() < 2
    series = xarray.open_dataset(path, group="series", engine="h5netcdf")
    run = series["origin"] == 0
    assert run.sum() == 20
    origins = xarray.open_dataset(path, group="origins", engine="h5netcdf")
    assert int(origins["event_count"].sum()) == int(origins["events"][0])
    assert float(series["yield_rate"][run].mean()) == pytest.approx(float(origins["events"][0]) / (33 * 50 * 20))
    fields = xarray.open_dataset(path, group="fields", engine="h5netcdf")
    assert set(np.unique(fields["active"])) == {-1, 0, 1}
    assert "unfinished" not in mpiepm(1, "info", finished / "run").stdout
    assert ": ok, " in mpiepm(1, "verify", finished / "run").stdout
    wrong = mpiepm(1, "figure", "overview", finished / "run")
    assert wrong.returncode == 2
    assert "is a stationary run" in wrong.stderr
