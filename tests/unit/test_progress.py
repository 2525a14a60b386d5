"""What a run tells while it goes: when, where, and what its estimate of the time left rests on."""

import time
from pathlib import Path

import numpy as np
import pytest

from mpiepm.analysis.describe import describe
from mpiepm.engine.layout import advised_ranks, slabs
from mpiepm.io import lock, rundir
from mpiepm.models.parameters import parse
from mpiepm.runtime import progress, status
from mpiepm.runtime.progress import Progress
from mpiepm.runtime.status import Status
from mpiepm.simulation import Simulation

TEXT = "[lattice]\nsize = [9, 14]\n[model]\ntemperature = 0.1\n"


def until(what: str, log: Path) -> str:
    """The log, as soon as it holds this text."""
    deadline = time.monotonic() + 120
    while not log.exists() or what not in log.read_text():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return log.read_text()


@pytest.mark.parametrize("quiet", [False, True])
def test_lines_without_a_terminal(
    quiet: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.01)
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    log = tmp_path / "run.log"
    with Progress(log, active=True, quiet=quiet) as telling:
        telling.phase("checking the checkpoints")
        until("checking the checkpoints, 0 s so far", log)
        telling.follow(lambda: "origin 1/2")
        until("origin 1/2", log)
        telling.note("engine event")
    written = log.read_text()
    errors = capsys.readouterr().err
    if quiet:
        assert errors == ""
    else:
        assert "checking the checkpoints, 0 s so far\n" in errors
        assert "\norigin 1/2\n" in errors
        assert errors.endswith("\nengine event\n")
    assert written.endswith(" engine event\n")
    time.sleep(0.05)
    assert log.read_text() == written  # the thread has ended


def test_the_first_line_and_the_next_take_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.01)
    with Progress(tmp_path / "run.log", active=True, quiet=True) as telling:
        telling.follow(lambda: "at work")
        until("at work", tmp_path / "run.log")
        time.sleep(0.1)
        assert (tmp_path / "run.log").read_text().count("at work") == 1
    assert progress.INTERVAL == 60.0


def test_other_ranks_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.0)
    with Progress(tmp_path / "run.log", active=False, quiet=False) as telling:
        telling.phase("checking the checkpoints")
        telling.note("engine event")
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "run.log").exists()


class Clock:
    """Shows what it is told to show."""

    now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.mark.parametrize(
    ("overrides", "phases", "expected"),
    [
        # 4 of 40 sweeps in 1 s: 9 s, and 3 origins of 60 sweeps at the same speed: 45 s
        (["run.equilibrate={time=40}", "run.origin_duration=60", "run.origins=3"], [(1.0, -1, 4.0, 50)], "about 54 s left"),
        # 126 of 1260 events in 2 s: 18 s, and 5 origins of 3 events per site, two at a time: 3 * 378 events, 18 s
        (["run.equilibrate={events_per_site=10}", "run.origin_events_per_site=3", "run.origins=5", "run.overlap=2"],
         [(2.0, -1, 1.0, 126)], "about 36 s left"),
        # nothing has happened yet
        (["run.equilibrate={events_per_site=10}"], [(5.0, -1, 0.3, 0)], "time left not known yet"),
        # the equilibration no longer counts: half an origin in 10 s, 2.5 more to come
        (["run.equilibrate={time=40}", "run.origin_duration=60", "run.origins=3"],
         [(1.0, -1, 4.0, 50), (100.0, 0, 0.0, 60), (110.0, 0, 30.0, 500)], "about 50 s left"),
        # model ferrero: a quarter of 100 + 300 tau in 8 s
        (["model.name=ferrero", "run={equilibrate={time=100}, duration=300}"], [(8.0, -1, 100.0, 7)], "about 24 s left"),
    ],
)  # fmt: skip
def test_time_left(
    overrides: list[str], phases: list[tuple[float, int, float, int]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phases: clock, origin, time since it, events."""
    clock = Clock()
    monkeypatch.setattr(status, "time", clock)
    params = parse("[lattice]\nsize = [9, 14]\n[model]\ntemperature = 0.1\n", overrides)
    simulation = Simulation(slabs(params), params)
    telling, line = Status(simulation), ""
    for clock.now, simulation.phases.origin, simulation.state.time, simulation.state.events in phases:
        line = telling()
    assert line.endswith(expected), line
    assert f"{simulation.state.events} events since the start, " in line
    assert f"{simulation.state.events / clock.now:.3g} events/s" in line


def test_status_of_a_run_that_goes() -> None:
    params = parse(TEXT, ["run.equilibrate={events_per_site=1}", "run.origins=2"])
    simulation = Simulation(slabs(params), params)
    telling, seen = Status(simulation), []
    while not simulation.finished:
        seen.append(telling())
        simulation.step(np.inf, lambda name, value: None)
    assert seen[0].startswith("equilibrating, t = 0 sweeps, 0.00 events/site, 0 events since the start, ")
    assert any(line.startswith("origin 1/2, t = ") for line in seen)
    assert any(line.startswith("origin 2/2, t = ") and " P = " in line for line in seen)


@pytest.mark.parametrize(
    ("size", "overrides", "ranks"),
    [
        ([64, 64], ["engine.name=event"], 1), ([256, 200], ["engine.name=event"], 1), ([256, 256], ["engine.name=event"], 2),
        ([512, 512], ["engine.name=sweep"], 8), ([512, 256], ["engine.name=split"], 1), ([1024, 512], ["engine.name=split"], 2),
        ([65536, 16], ["engine.name=sweep"], 9),  # no more than can share it
        ([256, 300], ["model.name=ferrero", "run={equilibrate={time=5}, duration=20}"], 2),
    ],
)  # fmt: skip
def test_recommended_ranks(size: list[int], overrides: list[str], ranks: int) -> None:
    assert advised_ranks(parse("[model]\ntemperature = 0.1\n", [f"lattice.size={size}", *overrides])) == ranks


def test_info_of_a_run_at_work(tmp_path: Path) -> None:
    """Before the first checkpoint: the last line of the log, its age, and who is at work."""
    rundir.prepare(tmp_path, parse(TEXT), resume=False, overwrite=False)
    with lock.held(tmp_path):
        with Progress(tmp_path / rundir.LOG, active=True, quiet=True) as telling:
            telling.say("start: lattice 9 x 14")
            telling.say("origin 3/20, t = 5 sweeps")
        text = describe(tmp_path)
    assert text.startswith(f"{tmp_path}: running\n")
    assert "  at work            process " in text
    assert "  last in run.log    origin 3/20, t = 5 sweeps (0 s ago)\n" in text
    assert "  checkpoint         none yet\n" in text
    assert "  at work            no process\n" in describe(tmp_path)
