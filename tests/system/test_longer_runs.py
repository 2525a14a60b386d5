"""A run that is made longer, or gets other parameters that do not touch its trajectory, is the run that had them at first."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import contents

from mpiepm.analysis.verify import verify
from mpiepm.cli import main
from mpiepm.core.faults import SickRunError
from mpiepm.io import rundir
from mpiepm.models.parameters import load

Run = Callable[..., "subprocess.CompletedProcess[str]"]

EPMQ = """
[lattice]
size = [9, 14]
[model]
temperature = 0.2
[run]
equilibrate = { time = 3 }
origins = 2
origin_duration = 8
[output]
lags = { first = 1, per_decade = 4 }
snapshots = [2.0]
correlations = {}
four_point = {}
clusters = {}
avalanches = {}
waiting_times = true
event_counts = true
"""
FERRERO = """
[lattice]
size = [9, 14]
[model]
name = "ferrero"
temperature = 0.3
[run]
equilibrate = { time = 3 }
duration = 6.03
[tracers]
number = 10
interval = 1.5
[output]
snapshots = [2.0, 9.0]
correlations = {}
"""
SPLIT = "engine={name='split', radius=3, strip=6, window=2}"
RUNS = {  # text, overrides, the length of the shorter run and of the longer ones
    "sweep": (EPMQ, [], "run.origins", (2, 4, 5)),
    "overlap": (EPMQ, ["run.overlap=2"], "run.origins", (2, 4, 5)),
    "event": (EPMQ, ["engine.name=event"], "run.origins", (2, 4, 5)),
    "split": (EPMQ, ["run.overlap=2", SPLIT], "run.origins", (2, 4, 5)),
    "by persistence": (EPMQ.replace("origin_duration = 8", "stop_persistence = 0.5"), [], "run.origins", (2, 4, 5)),
    "ferrero": (FERRERO, [], "run.duration", (6.03, 13, 20)),
}


def run(*arguments: object) -> object:
    """The exit code of `mpiepm run`."""
    with pytest.raises(SystemExit) as end:
        main(["run", *map(str, arguments), "--quiet"])
    return end.value.code


def sets(*overrides: str) -> list[str]:
    """The options for these overrides."""
    return [word for override in overrides for word in ("--set", override)]


def files(folder: Path) -> set[str]:
    """Names of what lies in a run directory."""
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def parameters(tmp_path: Path) -> Path:
    """The file of EPM-Q."""
    (tmp_path / "params.toml").write_text(EPMQ)
    return tmp_path / "params.toml"


FINISHED = {"archive.h5", "params.toml", "run.log", "state.h5"}


@pytest.mark.parametrize("case", RUNS)
def test_a_finished_run_is_made_longer(case: str, tmp_path: Path) -> None:
    text, overrides, key, (short, *lengths) = RUNS[case]
    file, folder, whole = tmp_path / "params.toml", tmp_path / "run", tmp_path / "whole"
    file.write_text(text)
    assert run(file, "--out", folder, *sets(*overrides, f"{key}={short}")) == 0
    for length in lengths:  # the second time it goes on from an archive that was joined
        assert files(folder) == FINISHED
        assert run(file, "--out", whole, "--overwrite", *sets(*overrides, f"{key}={length}")) == 0
        assert run("--out", folder, "--resume", "--set", f"{key}={length}") == 0
        assert contents(folder / "archive.h5") == contents(whole / "archive.h5")
        assert load(folder / "params.toml") == load(whole / "params.toml")
    assert verify(folder).findings == []


def test_killed_while_it_is_made_longer(parameters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With overlap: in the ending phases the journal holds what a longer run would have recorded otherwise."""
    folder, whole = tmp_path / "run", tmp_path / "whole"
    often = sets("run.overlap=2", "run.origin_duration=4", "output.checkpoint_minutes=1e-9")
    assert run(parameters, "--out", whole, *often, *sets("run.origins=5")) == 0

    def killed_in(what: str, *arguments: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(what, lambda *given: (_ for _ in ()).throw(SickRunError("killed")))
            assert run(*arguments) == 1

    killed_in("mpiepm.recorded.RecordedRun.finish", parameters, "--out", folder, *often)
    assert not rundir.is_finished(folder)
    assert list(folder.glob("checkpoint-*.h5"))
    longer = ["--out", folder, "--resume", *sets("run.origins=3")]
    # from the end of origin 2, as the checkpoints are of the ending phase
    killed_in("mpiepm.recorded.RecordedRun.finish", *longer)
    assert run("--out", folder, "--resume") == 0
    longer = ["--out", folder, "--resume", *sets("run.origins=5")]
    killed_in("mpiepm.recorded.RecordedRun._checkpoint", *longer)
    assert (folder / "archive.h5").exists()  # as long as no checkpoint knows its records
    assert not rundir.is_finished(folder)
    assert verify(folder).findings == []
    killed_in("mpiepm.io.rundir.drop_archive", "--out", folder, "--resume")
    assert run("--out", folder, "--resume") == 0
    assert contents(folder / "archive.h5") == contents(whole / "archive.h5")
    assert files(folder) == FINISHED


def test_what_does_not_touch_the_trajectory_may_change(
    parameters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, whole = tmp_path / "run", tmp_path / "whole"
    often = sets("output.checkpoint_minutes=1e-9")
    assert run(parameters, "--out", whole, *often, *sets("output.waiting_times=false", "output.snapshot_origins=2")) == 0
    begun = "mpiepm.simulation.Simulation.end_phase"
    with monkeypatch.context() as patch:  # killed when the equilibration ends
        patch.setattr(begun, lambda *given: (_ for _ in ()).throw(SickRunError("killed")))
        others = sets("output.clusters.per_decade=2", "output.avalanches.gaps=[3.0]")
        assert run(parameters, "--out", folder, *often, *others) == 1
        again = ["--out", folder, "--resume", *sets("output.waiting_times=false", "output.clusters={}")]
        assert run(*again, *sets("output.avalanches={}", "output.snapshot_origins=2")) == 1
    assert load(folder / "params.toml") == load(whole / "params.toml")
    assert run("--out", folder, "--resume") == 0
    assert contents(folder / "archive.h5") == contents(whole / "archive.h5")
    log = (folder / "run.log").read_text()
    assert "parameter changed since the checkpoint: output.avalanches.gaps is [3.0] there and [1.0, 10.0] here" in log

    capfd.readouterr()
    for override, said in (
        ("run.seed=2", "run.seed is 1 there and 2 here"),
        ("output.clusters.per_decade=3", "output.clusters.per_decade is 4 there and 3 here, which may change only before the "
         "first origin begins"),
        ("run.origins=1", "run.origins is 2 there and 1 here, where 2 is done"),
    ):  # fmt: skip
        before = (folder / "params.toml").read_bytes()
        assert run("--out", folder, "--resume", "--set", override) == 2
        assert capfd.readouterr().err == f"mpiepm: --resume: {folder} holds a run with other parameters: {said}\n"
        assert (folder / "params.toml").read_bytes() == before
    assert run("--out", folder, "--resume", "--set", "engine.name=split") == 2
    said = "holds a run of model.name = 'epmq' and engine.name = 'sweep', which stay as they are"
    assert capfd.readouterr().err == f"mpiepm: --set engine.name=split: {folder} {said}\n"
    assert run("--out", folder, "--resume", "--set", "output.checkpoint_minutes=60") == 0
    assert capfd.readouterr().out == f"{folder}: the run is finished, nothing to resume\n"
    assert verify(folder).findings == []


def test_without_its_state_a_run_cannot_be_made_longer(
    parameters: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert run(parameters, "--out", folder, "--set", "output.keep_state=false") == 0
    assert files(folder) == FINISHED - {"state.h5"}
    capfd.readouterr()
    assert run(parameters, "--out", folder, "--resume", "--set", "run.origins=3") == 2
    assert "cannot be made longer: it kept no state.h5 (output.keep_state)" in capfd.readouterr().err
    assert files(folder) == FINISHED - {"state.h5"}
