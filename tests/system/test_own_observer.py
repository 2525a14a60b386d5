"""An observer outside the package (examples/own_observer.py): its key, its variables in the archive, resumed, on two ranks."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_observer.py"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
PARAMS = """
lattice.size = [20, 24]
model.temperature = 0.1
run = { origins = 2, equilibrate = { time = 3.0 }, origin_duration = 5.0 }
"""


@pytest.mark.mpirun
def test_on_two_ranks_and_resumed(mpiepm: Run, tmp_path: Path) -> None:
    file, folder = tmp_path / "params.toml", tmp_path / "run"
    file.write_text(PARAMS)
    asked = ["--import", EXAMPLE, "--set", "output.stress_moments=true"]
    done = mpiepm(2, "run", file, "--out", folder, *asked)
    assert done.returncode == 0, done.stderr
    longer = mpiepm(1, "run", "--out", folder, "--resume", "--set", "run.origins=3")
    assert longer.returncode == 0, longer.stderr
    assert mpiepm(1, "analyse", folder).returncode == 0
    moments = xarray.open_dataset(folder / "archive.h5", group="stress_moments", engine="h5netcdf")
    assert moments["skewness"].attrs["units"] == "1"
    assert moments["time"].attrs["units"] == "sweeps"
    assert (np.diff(moments["time"]) >= 0).all()
    undisturbed = mpiepm(1, "run", file, "--out", tmp_path / "once", *asked, "--set", "run.origins=3")
    assert undisturbed.returncode == 0, undisturbed.stderr
    with h5py.File(folder / "archive.h5") as one, h5py.File(tmp_path / "once" / "archive.h5") as other:
        for name in ("time", "skewness", "kurtosis"):
            assert np.array_equal(one[f"stress_moments/{name}"], other[f"stress_moments/{name}"])
        stress = one["final/stress"][0]
    last = float(np.mean((stress - stress.mean()) ** 4) / stress.var() ** 2)
    assert float(moments["kurtosis"][-1]) == pytest.approx(last, rel=0.5)  # the run ends a little after the last lag


def test_without_the_file_its_key_is_unknown(mpiepm: Run, tmp_path: Path) -> None:
    file = tmp_path / "params.toml"
    file.write_text(PARAMS)
    done = mpiepm(1, "run", file, "--out", tmp_path / "run", "--set", "output.stress_moments=true")
    assert (done.returncode, "output.stress_moments: unknown key" in done.stderr) == (2, True)
