"""Runs that are not finished: what is read is the beginning of what the finished run has, and reading changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpiepm import loop, recorded
from mpiepm.analysis.contents import PER_RECORD
from mpiepm.analysis.overview import overview
from mpiepm.analysis.read import field, read, tracer_positions
from mpiepm.analysis.results import analyse
from mpiepm.analysis.scaling_table import summary as sizes
from mpiepm.analysis.table import summary
from mpiepm.core.faults import ParameterError
from mpiepm.engine.layout import slabs
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters, parse
from mpiepm.runtime.limits import Limits
from mpiepm.simulation import Simulation

EPMQ = """
lattice.size = [8, 12]
model.temperature = 0.1
engine.name = "event"
[run]
equilibrate = { time = 2 }
origins = 6
overlap = 2
origin_duration = 12
[output]
correlations = {}
four_point = {}
clusters = {}
snapshots = [0.0, 1.0, 9.0]
snapshot_origins = 6
"""
FMB = """
lattice.size = [8, 12]
model = { name = "ferrero", temperature = 0.2 }
run = { equilibrate = { time = 8 }, duration = 30 }
tracers = { number = 5, interval = 0.5 }
output.snapshots = [0.0, 30.0]
"""
Snapshot = dict[str, bytes]


class Until(Limits):
    """Ends a run when something holds."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__()
        self._holds = holds

    def reason(self, checkpoint: float, step: float) -> str:
        return "enough" if self._holds() else ""


def go_on(folder: Path, params: Parameters, holds: Callable[[Simulation], bool]) -> Simulation:
    """Begin or resume a run and let it end with a checkpoint when that holds; the simulation as it was then."""
    seen: list[Simulation] = []

    class Watched(Simulation):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append(self)

    if not folder.exists():
        rundir.prepare(folder, params, resume=False, overwrite=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "Simulation", Watched)
        limits = Until(lambda: bool(seen and holds(seen[0])))
        loop.run(slabs(params), params, folder, resume=True, quiet=True, limits=limits)
    return seen[0]


def files(folder: Path) -> Snapshot:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def never(_: Simulation) -> bool:
    return False


@pytest.fixture(scope="module")
def epmq(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that has two journal segments and was stopped while its fifth origin was the newest, and the same run finished."""
    folder, params = tmp_path_factory.mktemp("epmq"), parse(EPMQ)
    go_on(folder / "unfinished", params, lambda s: s.phases.origin >= 2)
    go_on(folder / "unfinished", params, lambda s: s.phases.origin >= 4)
    go_on(folder / "finished", params, never)
    return folder / "unfinished", folder / "finished"


def test_an_unfinished_run_is_the_beginning_of_the_finished_one(epmq: tuple[Path, Path]) -> None:
    before = files(epmq[0])
    part, whole = (read(folder, allow_unfinished=True) for folder in epmq)
    assert (part.status, part.done, len(part.files)) == ("unfinished", "3 of 6 origins", 2)
    assert (whole.status, whole.done) == ("finished", "")
    assert part.data.keys() == whole.data.keys() - {"final/time"}
    for name, values in part.data.items():
        if whole.dims[name][0] in PER_RECORD:
            assert part.dims[name] == whole.dims[name]
            assert 0 < len(values) < len(whole.data[name]), name
            assert whole.dims[name][0] != "origin" or len(values) == 3
        assert np.array_equal(values, whole.data[name][: len(values)], equal_nan=True), name
    for origin in range(3):
        maps = (field(run, "origins/first_event_time", origin) for run in (part, whole))
        assert np.array_equal(*maps)
    assert files(epmq[0]) == before


def test_everything_that_shows_an_unfinished_run_says_so(epmq: tuple[Path, Path], tmp_path: Path) -> None:
    before = files(epmq[0])
    assert "L = 8 x 12, unfinished: 3 of 6 origins" in summary([epmq[0]])
    assert "T = 0.1, L = 9.79796: unfinished: 3 of 6 origins" in sizes([epmq[0]])
    assert analyse([epmq[0]])["status"].values.tolist() == ["unfinished"]
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mpiepm.analysis.overview.Figure.suptitle", lambda self, text: drawn.append(text))
        overview(epmq[0], tmp_path / "overview.svg")
    assert drawn[0].endswith("unfinished: 3 of 6 origins")
    assert files(epmq[0]) == before
    with pytest.raises(ParameterError, match="has the run finished"):
        read(epmq[0])
    assert "unfinished" not in summary([epmq[1]])


def test_a_run_without_anything_to_tell(tmp_path: Path) -> None:
    folder, params = tmp_path / "run", parse(EPMQ)
    rundir.prepare(folder, params, resume=False, overwrite=False)
    with pytest.raises(ParameterError, match="no checkpoint yet"):
        summary([folder])
    go_on(folder, params, lambda s: s.phases.origin < 0)
    with pytest.raises(ParameterError, match=r"unfinished, equilibrating at the newest checkpoint \(0 of 6 origins\)"):
        summary([folder])
    go_on(folder, params, lambda s: s.phases.origin == 1)
    with pytest.raises(ParameterError, match=r"nothing is complete at the newest checkpoint \(0 of 6 origins\)"):
        summary([folder])


def test_an_unfinished_run_of_fmb(tmp_path: Path) -> None:
    params = parse(FMB)
    go_on(tmp_path / "run", params, lambda s: s.phases.origin == 0 and s.state.time > 12.0)
    part = read(tmp_path / "run", allow_unfinished=True)
    assert part.done.endswith("of 38 tau")
    text = summary([tmp_path / "run"])
    assert f"unfinished: {part.done}" in text
    assert "D(t = " in text
    positions = tracer_positions(part, 5)
    end = go_on(tmp_path / "run", params, never)
    whole = read(tmp_path / "run")
    assert np.array_equal(positions, tracer_positions(whole, 5)[: len(positions)])
    assert np.array_equal(part.data["series/activity"], whole.data["series/activity"][: len(part.data["series/activity"])])
    with h5py.File(tmp_path / "run" / "archive.h5") as file:
        assert file["fields/lag"][:].tolist() == [0.0, 30.0]
        assert file["final/time"][0] == pytest.approx(38.0)
        for name in ("stress", "plastic_strain", "active"):
            now = getattr(end.state, name)
            assert np.array_equal(file[f"final/{name}"][0], now)
            assert np.array_equal(file[f"fields/{name}"][1], now)  # the end is the last snapshot here
        assert not np.array_equal(file["fields/stress"][0], file["fields/stress"][1])


def test_lag_0_is_the_state_at_the_origin_and_lags_that_nobody_reaches_are_named(
    epmq: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(epmq[1] / "archive.h5") as file:
        assert file["fields/lag"][:].tolist() == 6 * [0.0, 1.0]
        assert np.array_equal(file["fields/time"][::2], file["origins/time"][:])
        square = (file["fields/stress"][::2] ** 2).mean(axis=(1, 2))
        assert np.allclose(square, file["correlations/stress_square"][:])
        assert (file["fields/persistence"][::2] == 1).all()
    line = "lag 9 was reached by no origin: the longest lasts 6 sweeps"
    assert line in summary([epmq[1]])
    assert line not in summary([epmq[0]])
    params = parse(EPMQ, ["run.origins=2", "run.overlap=1"])
    go_on(tmp_path / "longer", params, never)
    assert "output.snapshots" not in capsys.readouterr().err
    go_on(tmp_path / "shorter", parse(EPMQ, ["run.origins=2"]), never)
    assert f"mpiepm: warning: output.snapshots: {line}\n" in capsys.readouterr().err
    assert f"warning: output.snapshots: {line}" in (tmp_path / "shorter" / "run.log").read_text()
