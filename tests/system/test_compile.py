"""`mpiepm compile`: what it leaves in the cache is all that the runs need."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mpiepm import warmup
from mpiepm.models.parameters import Parameters, parse

Run = Callable[..., "CompletedProcess[str]"]
EPMQ = ["model.temperature=0.1", "lattice.size=[36, 50]", "run={origins=1, equilibrate={time=1}, origin_duration=1}"]
RUNS = [
    [*EPMQ, "engine={name='split', radius=4, strip=12}"],
    [*EPMQ, "engine.name=event"],
    ["model={name='ferrero', temperature=0.2}", "lattice.size=[36, 50]", "run={equilibrate={time=1}, duration=2}",
     "tracers={number=10}"],
]  # fmt: skip
COMPILED = """
import sys
from pathlib import Path
from numba.core import event
from mpiepm.models.parameters import load
from mpiepm.engine.layout import slabs
from mpiepm.simulation import Simulation
with event.install_recorder("numba:compile") as recorder:
    for file in sys.argv[1:]:
        params = load(Path(file))
        simulation = Simulation(slabs(params), params)
        while not simulation.finished:
            simulation.step(1e9, lambda name, value: None)
print(len(recorder.buffer))
"""


@pytest.mark.timeout(3600)  # it may have to compile
def test_runs_find_everything_compiled(mpiepm: Run, tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.toml" for k in range(len(RUNS))]
    for file, given in zip(files, RUNS, strict=True):
        file.write_text(parse("", given).to_toml())
    done = mpiepm(1, "compile", *files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told = subprocess.run([sys.executable, "-c", COMPILED, *map(str, files)], capture_output=True, text=True, check=True)
    assert told.stdout == "0\n"


def test_runs_of_a_kind_are_compiled_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their seed, size and temperature."""
    rehearsed: list[Parameters] = []
    monkeypatch.setattr(warmup, "rehearse", rehearsed.append)
    alike = [[f"run.seed={k}", f"lattice.size=[{40 + k}, 64]", f"model.temperature=0.{k}"] for k in (1, 2, 3)]
    warmup.rehearse_all(parse("", given) for given in alike)
    assert len(rehearsed) == 1
    warmup.rehearse_all(parse("", given) for given in RUNS)
    assert len(rehearsed) == 1 + len(RUNS)


def test_a_parameter_file_that_is_not_there(mpiepm: Run, tmp_path: Path) -> None:
    done = mpiepm(1, "compile", tmp_path / "none.toml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.toml" in done.stderr
