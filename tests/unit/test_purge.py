"""File systems that remove old files one by one: a run loses what was in them, and nothing else."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpiepm.analysis.read import read
from mpiepm.analysis.verify import verify
from mpiepm.core.faults import ParameterError
from mpiepm.engine.layout import slabs
from mpiepm.io import rundir, unfinished
from mpiepm.loop import run
from mpiepm.models.parameters import Parameters, parse
from mpiepm.runtime.limits import Limits

PARAMS = """
lattice.size = [8, 12]
model.temperature = 0.2
engine.name = "event"
[run]
equilibrate = { time = 0.2 }
origins = 5
overlap = OVERLAP
origin_duration = 6
[output]
checkpoint_minutes = MINUTES
lags = { first = 2, per_decade = 2 }
snapshots = [1.0]
snapshot_origins = 5
"""


def of_run(overlap: int, minutes: float = 1e-9) -> Parameters:
    return parse(PARAMS.replace("OVERLAP", str(overlap)).replace("MINUTES", str(minutes)))


def with_an_origin(folder: Path) -> list[Path]:
    """Segments in which an origin ends."""
    found = []
    for path in sorted(folder.glob("journal/*.h5")):
        with h5py.File(path, "r") as file:
            found += [path] if "persistence/value" in file else []
    return found


class Purge(Limits):
    """Removes something as soon as the second origin has ended, and ends the run after the third."""

    def __init__(self, folder: Path, remove: Callable[[], object]) -> None:
        super().__init__()
        self.folder, self.remove = folder, remove

    def reason(self, checkpoint: float, step: float) -> str:
        ended = len(with_an_origin(self.folder))
        if ended == 2:
            self.remove()
        return "enough" if ended >= 3 else ""


def whole(folder: Path, overlap: int) -> Path:
    params = of_run(overlap, 10)
    rundir.prepare(folder, params, resume=False, overwrite=False)
    run(slabs(params), params, folder, resume=False, quiet=True)
    return folder


@pytest.mark.parametrize("overlap", [1, 2])
@pytest.mark.parametrize("when", ["at work", "between"])
def test_a_lost_segment_costs_its_origins(
    when: str, overlap: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = read(whole(tmp_path / "whole", overlap))
    folder, params = tmp_path / "run", of_run(overlap)
    rundir.prepare(folder, params, resume=False, overwrite=False)
    gone: list[Path] = []

    def remove() -> None:
        if not gone:
            gone.append(with_an_origin(folder)[0])
            gone[0].unlink()

    at_work = when == "at work"
    run(slabs(params), params, folder, resume=False, quiet=True, limits=Purge(folder, remove if at_work else lambda: None))
    if not at_work:
        remove()
    assert (f"{gone[0]}: is gone" in capfd.readouterr().err) == (when == "at work")
    with pytest.raises(ParameterError, match="segments of the journal are lost"):
        unfinished.recorded(folder)
    assert any(f"{gone[0]}: " in finding for finding in verify(folder).findings)
    run(slabs(params), params, folder, resume=True, quiet=True)
    found = read(folder)
    kept = np.isin(expected.data["origins/time"], found.data["origins/time"])
    assert 0 < np.sum(~kept) <= 2
    assert f"lost: {np.sum(~kept)} origin" in capfd.readouterr().err
    for name, values in found.data.items():
        if found.dims[name][0] == "origin":
            assert np.array_equal(values, expected.data[name][kept], equal_nan=True), name
    there = np.isin(expected.data["series/time"], found.data["series/time"])
    for name in ("series/time", "series/events", "series/lag"):
        assert np.array_equal(found.data[name], expected.data[name][there])
    numbers = np.cumsum(kept) - 1
    origin = expected.data["series/origin"][there]
    assert np.array_equal(found.data["series/origin"], np.where(origin < 0, origin, numbers[origin]))
    assert len(found.data["fields/origin"]) <= np.sum(kept)
    findings = " ".join(verify(folder).findings)
    assert f"lost before it was written: {np.sum(~kept)} origin" in findings
    assert "first_event_time" not in findings
    assert "fields/" not in findings


def test_parameters_that_are_gone(tmp_path: Path) -> None:
    folder, params = tmp_path / "run", of_run(1)
    rundir.prepare(folder, params, resume=False, overwrite=False)
    limits = Purge(folder, lambda: (folder / "params.toml").unlink(missing_ok=True))
    run(slabs(params), params, folder, resume=False, quiet=True, limits=limits)
    assert not (folder / "params.toml").exists()
    assert unfinished.exists(folder)
    assert rundir.prepare(folder, None, resume=True, overwrite=False) == (params, True)
    assert parse((folder / "params.toml").read_text()) == params


def test_files_of_somebody_else_keep_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.log").touch()
    os.utime(tmp_path / "run.log", (0, 0))

    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    rundir.renew(tmp_path)
    assert (tmp_path / "run.log").stat().st_mtime == 0


def test_old_files_get_a_new_time(tmp_path: Path) -> None:
    whole(tmp_path / "run", 1)
    (tmp_path / "run" / "mine").touch()
    old = time.time() - 3e6
    for path in (tmp_path / "run").iterdir():
        os.utime(path, (old, old))
    rundir.renew(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir() if path.stat().st_mtime < old + 10] == ["mine"]
