"""A model outside the package (examples/own_model.py) with every engine it allows: run, archive, analysis, resume, campaign."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpiepm.analysis.verify import verify

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
ENGINES = {
    "event": ["engine.name=event"],
    "extremal": ["engine={name='event', dynamics='extremal'}"],
    "sweep": ["engine.name=sweep"],
    "split": ["engine={name='split', radius=4, strip=8}"],
}
SMALL = ["lattice.size=[24, 20]", "run.origins=2", "run.equilibrate={events_per_site=1}", "run.origin_events_per_site=1"]


@pytest.fixture(autouse=True)
def _in_processes_of_their_own(environment: dict[str, str]) -> None:
    """What a module defines stays in the process that has imported it."""
    environment["MPIEPM_TEST"] = "own model"


def sets(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine(mpiepm: Run, tmp_path: Path, engine: str) -> None:
    folder = tmp_path / "run"
    given = ["run", "--import", EXAMPLES / "own_model.py", EXAMPLES / "own_model.toml", "--out", folder]
    done = mpiepm(1, *given, *sets(*SMALL, *ENGINES[engine]))
    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "archive.h5") as file:
        stress = file["final/stress"][0]
        assert np.isfinite(stress).all()
        assert file["origins/events"][:].sum() > stress.size
    longer = mpiepm(1, "run", "--out", folder, "--resume", *sets("run.origins=3"))
    assert longer.returncode == 0, longer.stderr
    assert verify(folder).findings == []
    told = mpiepm(1, "analyse", folder)
    assert told.returncode == 0, told.stderr
    assert "linear, T = 0.2, L = 24 x 20, 3 origins" in told.stdout


def test_the_rate_is_that_of_the_law_without_elasticity(mpiepm: Run, tmp_path: Path) -> None:
    """Independent sites: an event leaves |sigma| = |1 - z|, z exponential, so 1 / Gamma is the mean of 1 / w(1 - z)."""
    folder, temperature = tmp_path / "run", 0.5
    given = ["run", "--import", EXAMPLES / "own_model.py", EXAMPLES / "own_model.toml", "--out", folder]
    more = ["lattice.size=[64, 64]", "model.elasticity=false", f"model.temperature={temperature}", "run.origins=20",
            "run.equilibrate={time=60}", "run.origin_duration=20", "output.lags.per_decade=2"]  # fmt: skip
    done = mpiepm(1, *given, *sets(*more))
    assert done.returncode == 0, done.stderr
    z = (np.arange(400_000) + 0.5) * 1e-4
    wait = np.exp(np.maximum(1.0 - np.abs(1.0 - z), 0.0) / temperature)
    expected = float((np.exp(-z) * wait).sum() * 1e-4)
    with h5py.File(folder / "archive.h5") as file:
        events, duration = file["origins/events"][:], file["origins/duration"][:]
    measured = duration * 64**2 / events
    error = measured.std(ddof=1) / np.sqrt(len(measured))
    assert abs(measured.mean() - expected) < 4 * error
    assert error < 0.02 * expected


def test_a_campaign(mpiepm: Run, tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    settings = "".join(f"{line.partition('=')[0]} = {line.partition('=')[2]}\n" for line in (*SMALL[1:], "engine.name='event'"))
    file.write_text(
        f"[base]\nimports = [{json.dumps(str(EXAMPLES / 'own_model.py'))}]\nlattice.size = [16, 12]\nmodel.name = 'linear'\n"
        f"{settings}\n[[grid]]\nover.T = [0.3, 0.2]\n"
    )
    done = mpiepm(1, "campaign", "run", file, "--out", tmp_path / "all")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "all").rglob("archive.h5"))) == 2


def test_a_module_that_is_not_there(mpiepm: Run, tmp_path: Path) -> None:
    done = mpiepm(1, "run", "--import", tmp_path / "none.py", EXAMPLES / "own_model.toml", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"imports = '{tmp_path / 'none.py'}': no such file" in done.stderr
    assert not (tmp_path / "run").exists()
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_this_name\n")
    done = mpiepm(1, "run", "--import", broken, EXAMPLES / "own_model.toml", "--out", tmp_path / "run")
    assert (done.returncode, "cannot be imported: ModuleNotFoundError" in done.stderr) == (2, True)


def test_a_simulation_on_a_page(tmp_path: Path, environment: dict[str, str]) -> None:
    picture = tmp_path / "minimal.png"
    command = [sys.executable, EXAMPLES / "minimal.py", picture]
    done = subprocess.run(command, capture_output=True, text=True, env=environment | {"MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(r"(\d+) events, P = (\S+), Gamma = (\S+), mean stress after shear (\S+)\n", done.stdout)
    assert told, done.stdout
    assert picture.stat().st_size > 5000
    assert 0.1 < float(told[2]) < 0.5  # tau_alpha is about 21 sweeps at this temperature, from a stationary state
    assert 0.03 < float(told[3]) < 0.07
