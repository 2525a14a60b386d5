"""Whole runs on 2-4 ranks leave the archive of one rank, byte by byte, with everything observed."""

from pathlib import Path

import pytest
from archives import contents
from mpi4py import MPI

from mpiepm import loop
from mpiepm.engine.layout import slabs
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters, parse

pytestmark = pytest.mark.parallel(2, 3, 4)

EPMQ = """
[lattice]
size = [33, 20]
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
EXTREMAL = [
    "engine.name=event", "engine.dynamics=extremal", "model.temperature=0", "output.lags.first=10", "output.snapshots=[10]",
    "output.avalanches={gaps=[], thresholds=[0.2]}",
]  # fmt: skip
FERRERO = """
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


def archive(comm: MPI.Intracomm, params: Parameters, folder: Path) -> Path:
    """Run in the directory, where a run of fewer origins may be."""
    resume = folder.exists()
    comm.Barrier()
    if comm.rank == 0:
        rundir.prepare(folder, params, resume=resume, overwrite=False)
    comm.Barrier()
    assert loop.run(slabs(params, comm), params, folder, resume=resume, quiet=True)
    return folder / "archive.h5"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        pytest.param(EPMQ, ["engine.name=sweep"], id="sweep"),
        pytest.param(EPMQ, ["engine.name=event"], id="event"),
        pytest.param(EPMQ, ["engine.name=split", "engine.radius=3", "engine.strip=8", "engine.window=3"], id="split"),
        pytest.param(EPMQ, EXTREMAL, id="extremal"),
        pytest.param(FERRERO, [], id="ferrero"),
        pytest.param(FERRERO, ["tracers={number=2, placement='sites', frames={}}", "run.duration=3"], id="few tracers"),
    ],
)
def test_archive_is_the_same_on_any_number_of_ranks(shared_path: Path, text: str, overrides: list[str]) -> None:
    params = parse(text, overrides)
    together = archive(MPI.COMM_WORLD, params, shared_path / "together")
    if MPI.COMM_WORLD.rank == 0:
        alone = archive(MPI.COMM_SELF, params, shared_path / "alone")
        assert contents(together) == contents(alone)


def test_a_finished_run_is_made_longer(shared_path: Path) -> None:
    for origins in (2, 3):
        params = parse(EPMQ, ["engine.name=event", f"run.origins={origins}"])
        together = archive(MPI.COMM_WORLD, params, shared_path / "together")
    if MPI.COMM_WORLD.rank == 0:
        alone = archive(MPI.COMM_SELF, params, shared_path / "alone")
        assert contents(together) == contents(alone)
