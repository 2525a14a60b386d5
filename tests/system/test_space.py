"""The size of an archive as it is predicted from the parameters, against the file itself."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import pytest

from mpiepm.io import space
from mpiepm.models.parameters import load, parse

Run = Callable[..., "CompletedProcess[str]"]

EPMQ = """
[lattice]
size = [33, 50]
[model]
temperature = 0.1
[run]
equilibrate = { events_per_site = 1 }
origins = 6
overlap = 2
[output]
correlations = {}
four_point = {}
clusters = {}
avalanches = {}
waiting_times = true
event_counts = true
snapshots = [1.0, 2.0, 1000.0]
snapshot_origins = 2
"""
FERRERO = """
[lattice]
size = [33, 50]
[model]
name = "ferrero"
temperature = 0.2
[run]
equilibrate = { time = 8 }
duration = 40
[tracers]
number = 150
interval = 0.7
[output]
snapshots = [1.0, 20.0, 50.0]
correlations = {}
event_counts = true
"""
EXTREMAL = ["model.temperature=0", "engine={name='event', dynamics='extremal'}", "output.lags.first=10",
            "output.avalanches={gaps=[], thresholds=[0.2]}", "run.equilibrate={time=100}",
            "run.origin_duration=500"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "overrides"),
    [(EPMQ, []), (EPMQ, EXTREMAL), (FERRERO, []), (FERRERO, ["tracers={number=20, frames={}}", "output.waiting_times=false"])],
)
def test_prediction_against_the_file(mpiepm: Run, tmp_path: Path, text: str, overrides: list[str]) -> None:
    (tmp_path / "params.toml").write_text(text)
    arguments = [argument for override in overrides for argument in ("--set", override)]
    done = mpiepm(1, "run", tmp_path / "params.toml", "--out", tmp_path / "run", *arguments)
    assert done.returncode == 0, done.stderr
    predicted = space.archive_bytes(load(tmp_path / "run" / "params.toml"))
    found: dict[str, int] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.id.get_storage_size():
            found[name] = item.nbytes

    with h5py.File(tmp_path / "run" / "archive.h5") as file:
        file.visititems(note)
    assert predicted.keys() - {"metadata"} == found.keys()
    for name, size in found.items():
        assert size == pytest.approx(predicted[name], rel=0.3, abs=64), name  # lags may be a few more or less
    assert (tmp_path / "run" / "archive.h5").stat().st_size == pytest.approx(sum(predicted.values()), rel=0.2)


def test_what_is_certain_does_not_depend_on_a_guess() -> None:
    cold, hot = (parse("", [f"model.temperature={t}"]) for t in (0.005, 0.1))
    assert sum(space.archive_bytes(cold).values()) > sum(space.archive_bytes(hot).values())
    assert space.archive_bytes(cold, least=True) == space.archive_bytes(hot, least=True)
    assert space.archive_bytes(cold, least=True)["origins/first_event_time"] == 20 * 256 * 256 * 4
