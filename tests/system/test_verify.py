"""`verify` finds whatever is damaged and says what; archives may be annotated; `info` knows every state."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from archives import left_by_a_kill

from mpiepm.analysis.read import read
from mpiepm.analysis.verify import verify
from mpiepm.cli import main
from mpiepm.io import crc, lock

DATA = Path(__file__).parents[1] / "data" / "archive3"


def ended_with(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return end.value.code, said.out + said.err


@pytest.mark.parametrize("model", ["epmq", "ferrero"])
def test_archives(model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = DATA / model
    assert (folder / "archive.h5").stat().st_size < 100_000
    code, said = ended_with(capsys, "verify", folder)
    assert code == 0, said
    assert f"{folder}: ok, " in said
    code, said = ended_with(capsys, "info", folder)
    assert code == 0
    for word in ("finished", f"model              {model}, T = ", "12 x 10", "events", "wall time", "size on disk", "node1"):
        assert word in said
    code, said = ended_with(capsys, "analyse", folder, "--save", tmp_path / "numbers.csv", "--save", tmp_path / "all.nc")
    assert code == 0, said
    assert "tau_alpha" in said or "D(t = " in said
    curves = tmp_path / {"epmq": "numbers-lag.csv", "ferrero": "numbers-displacement_lag-wave_number.csv"}[model]
    assert len(curves.read_text().splitlines()) > 10
    with h5py.File(folder / "archive.h5") as file:
        assert file.attrs["schema"] == b"mpiepm archive 3"


def test_units_are_those_of_the_model() -> None:
    paths = [DATA / model / "archive.h5" for model in ("epmq", "ferrero")]
    with h5py.File(paths[0]) as epmq, h5py.File(paths[1]) as fmb:
        for name, expected in {
            "series/time": ("sweeps", "tau"), "series/yield_rate": ("1/sweep", "1/tau"), "fields/lag": ("sweeps", "tau"),
            "fields/stress": ("sigma_c", "sigma_Y"), "fields/plastic_strain": ("sigma_c/mu", "sigma_Y/mu"),
            "waiting_times/edges": ("sweeps", "tau"), "histograms/stress/edges": ("sigma_c", "sigma_Y"),
            "correlations/stress_square": ("sigma_c^2", "sigma_Y^2"), "correlations/wave_number": ("mu/sigma_c", "mu/sigma_Y"),
        }.items():  # fmt: skip
            assert (epmq[name].attrs["units"], fmb[name].attrs["units"]) == expected
        everything: set[str] = set()
        fmb.visititems(lambda name, item: everything.add(item.attrs["units"]) if "units" in item.attrs else None)
        assert not any("sweep" in units or "sigma_c" in units for units in everything)


@pytest.mark.parametrize("model", ["epmq", "ferrero"])
def test_one_changed_byte_of_any_dataset_is_found(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / model, folder)
    path = folder / "archive.h5"
    content = path.read_bytes()
    places: dict[str, tuple[int, int]] = {}
    with h5py.File(path, "r") as file:
        for name in with_sums(file):
            places[name] = (file[name].id.get_offset(), file[name].id.get_storage_size())
    assert len(places) > 25
    draw = np.random.default_rng(1)
    for name, (offset, length) in places.items():
        changed = bytearray(content)
        changed[offset + draw.integers(length)] ^= 1 << draw.integers(8)
        path.write_bytes(changed)
        report = verify(folder)
        assert report.findings == [f"{path}: {name}: not what was written: its checksum differs"]
        assert str(report).endswith(f"{folder}: 1 of {report.checks} checks failed")


def with_sums(file: h5py.File) -> list[str]:
    """Names of the datasets that have a checksum."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if crc.ATTRIBUTE in item.attrs else None)
    return names


def annotated(path: Path) -> None:
    """As people do: an attribute of the file, of a dataset, and a group of their own."""
    with h5py.File(path, "r+") as file:
        file.attrs["sample"] = "silica, second batch"
        file["series/time"].attrs["note"] = "checked"
        file["mine/fit"] = np.arange(3.0)
        file["mine/fit"].attrs["units"] = "m"
        file["mine/names"] = ["a", "b"]


def repacked(path: Path) -> None:
    """As h5repack -f GZIP=1 does: every dataset in compressed chunks, attributes and scales kept."""
    whole = path.read_bytes()
    with h5py.File(io.BytesIO(whole), "r") as old, h5py.File(path, "w") as new:

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Group):
                new.create_group(name)
                return
            assert isinstance(item, h5py.Dataset)
            options = {"chunks": True, "compression": 1} if item.shape and 0 not in item.shape else {}
            copied = new.create_dataset(name, data=item[()], **options)
            for key, value in item.attrs.items():
                if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                    copied.attrs[key] = value
            if item.is_scale:
                copied.make_scale(name)

        def attach(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and not item.is_scale:
                for k in range(item.ndim):
                    for scale in item.dims[k].values():
                        new[name].dims[k].attach_scale(new[scale.name])

        old.visititems(copy)
        old.visititems(attach)
        for key, value in old.attrs.items():
            new.attrs[key] = value


@pytest.mark.parametrize("model", ["epmq", "ferrero"])
@pytest.mark.parametrize("change", [lambda path: h5py.File(path, "r+").close(), annotated, repacked])
def test_archives_may_be_annotated_and_repacked(
    model: str, change: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / model, folder)
    before = read(folder)
    change(folder / "archive.h5")
    assert verify(folder).findings == []
    after = read(folder)
    assert before.params == after.params
    assert before.data.keys() == after.data.keys()
    assert all(np.array_equal(before.data[name], after.data[name], equal_nan=True) for name in before.data)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["analyse", "figure overview", "info"])
def test_readers_warn_of_changed_numbers_and_go_on(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / "epmq", folder)
    with h5py.File(folder / "archive.h5", "r+") as file:
        file["series/mean_stress"][3] += 1.0
    with pytest.raises(SystemExit) as end:
        main([*command.split(), str(folder)])
    said = capsys.readouterr().err
    assert end.value.code == 0
    assert said.count("\n") == 1
    assert said.startswith(f"mpiepm: warning: {folder / 'archive.h5'}: series/mean_stress: not what was written; ")
    assert ended_with(capsys, "verify", folder)[0] == 1


def set_to(value: object, where: Any = ...) -> Callable[[h5py.Dataset], None]:
    return lambda dataset: dataset.__setitem__(where, value)


def add(value: float, where: Any = ...) -> Callable[[h5py.Dataset], None]:
    return lambda dataset: dataset.__setitem__(where, dataset[where] + value)


@pytest.mark.parametrize(
    ("model", "name", "change", "expected"),
    [
        ("epmq", "series/time", set_to(0.5, 7), "series/time does not increase"),
        ("epmq", "series/time", add(1e-3, 3), "series/time: not that of the origin and series/lag"),
        ("epmq", "series/origin", set_to(0, -1), "series/origin decreases"),
        ("epmq", "series/events", add(1000), "series/events: more than in the whole run"),
        ("epmq", "series/events", add(-2, 5), "series/yield_rate: not that of series/events"),
        ("epmq", "series/yield_rate", add(0.02, 9), "series/yield_rate: not that of series/events"),
        ("epmq", "series/stress_variance", set_to(-1, 2), "series/stress_variance is negative"),
        ("epmq", "series/mean_stress", set_to(np.nan, 2), "series/mean_stress is not finite everywhere"),
        ("epmq", "origins/events", add(1, 0), "origins/events: not those of the series"),
        ("epmq", "origins/time", add(1, 1), "origins/time: an origin does not begin where one ends"),
        ("epmq", "origins/duration", set_to(0, 0), "origins/duration is not positive"),
        ("epmq", "persistence/lag", add(0.01, 2), "persistence/lag: not the lags of output.lags"),
        ("epmq", "correlations/lag", add(0.01, 2), "correlations/lag: not the lags of output.lags"),
        ("epmq", "four_point/lag", add(0.01, 2), "four_point/lag: not the lags of output.lags"),
        ("epmq", "persistence/value", set_to(1.0, (0, -2)), "persistence/value increases"),
        ("epmq", "persistence/value", set_to(1.5, (0, 0)), "persistence/value is not between 0 and 1"),
        ("epmq", "persistence/value", set_to(np.nan, (0, 1)), "persistence/value: a gap before the end of an origin"),
        ("epmq", "persistence/value", add(0.001, (0, 3)), "persistence/value: no number of sites"),
        ("epmq", "origins/first_event_time", set_to(0, (0, 3, 3)), "origins/first_event_time: P(0) is not 1, origin 0"),
        ("epmq", "origins/first_event_time", set_to(99, (1, slice(3))), "not that of origins/first_event_time, origin 1"),
        ("epmq", "origins/event_count", add(1, (2, 0, 0)), "origins/event_count: "),
        ("epmq", "fields/stress", set_to(np.inf, (1, 2, 3)), "fields/stress is not finite, snapshot 1"),
        ("epmq", "fields/plastic_strain", set_to(np.nan, (0, 2, 3)), "fields/plastic_strain is not finite, snapshot 0"),
        ("epmq", "fields/persistence", set_to(1, 1), "fields/persistence: not that of origins/first_event_time, snapshot 1"),
        ("epmq", "fields/persistence", set_to(5, (0, 0, 0)), "fields/persistence has other values than -1, 0, 1"),
        ("epmq", "histograms/stress/counts", add(1, (0, 9)), "histograms/stress: its totals are not the number of sites"),
        ("epmq", "histograms/stress/edges", set_to(9, 3), "histograms/stress/edges do not increase"),
        ("epmq", "waiting_times/exchange", add(10**6, (0, 0)), "waiting_times/exchange: more waiting times than events"),
        ("ferrero", "series/activity", set_to(1.5, 2), "series/activity is not between 0 and 1"),
        ("ferrero", "tracers/time", set_to(0, 3), "tracers/time does not increase from 0"),
        ("ferrero", "tracers/position", set_to(np.nan, (3, 2, 1)), "tracers/position is not finite everywhere"),
        ("ferrero", "tracers/position", set_to(-50, (0, 2, 1)), "tracers/position: the first frame is not on the lattice"),
        ("ferrero", "fields/active", set_to(2, (0, 0, 0)), "fields/active has other values than -1, 0, 1"),
    ],
)
def test_numbers_that_do_not_fit_are_found(
    model: str, name: str, change: Callable[[h5py.Dataset], None], expected: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / model, folder)
    reseal(folder / "archive.h5", lambda file: change(file[name]))
    report = verify(folder)
    assert any(finding.startswith(f"{folder / 'archive.h5'}: ") and expected in finding for finding in report.findings)


def reseal(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Change an archive, and give it the checksums that it would have if it had been written so."""
    with h5py.File(path, "r+") as file:
        change(file)
        for name in with_sums(file):
            file[name].attrs.modify(crc.ATTRIBUTE, np.array([crc.of_dataset(file[name])], np.uint32))


def test_structure_and_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"

    def findings() -> list[str]:
        return [finding.partition("run/")[2] for finding in verify(folder).findings]

    shutil.copytree(DATA / "epmq", folder)
    (folder / "params.toml").write_text((folder / "params.toml").read_text().replace("seed = 1", "seed = 2"))
    assert findings() == ["params.toml: differs from the parameters in archive.h5"]
    (folder / "params.toml").write_text("temperature")
    assert findings()[0].startswith("params.toml: not valid TOML")
    (folder / "params.toml").unlink()
    assert findings() == ["params.toml: cannot be read: No such file or directory"]
    shutil.copy(DATA / "epmq" / "params.toml", folder)
    reseal(folder / "archive.h5", lambda file: file.__delitem__("persistence/value"))
    assert findings() == ["archive.h5: damaged: lacks persistence/value"]
    reseal(folder / "archive.h5", lambda file: file.attrs.__delitem__("params"))
    assert findings()[0].startswith("archive.h5: damaged: ")
    (folder / "archive.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    assert findings()[0].startswith("archive.h5: damaged: ")
    code, said = ended_with(capsys, "verify", folder, DATA / "epmq")
    assert code == 1
    assert f"{folder}: 1 of 2 checks failed\n{DATA / 'epmq'}: ok, " in said
    code, said = ended_with(capsys, "info", folder)
    assert code == 0
    assert "damaged            " in said


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory as a kill leaves it: two checkpoints and their journal."""
    folder = tmp_path_factory.mktemp("unfinished") / "run"
    left_by_a_kill(folder)
    return folder


def test_unfinished_runs(unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints, segments = sorted(unfinished.glob("checkpoint-*.h5")), sorted(unfinished.glob("journal/*.h5"))
    assert len(checkpoints) == 2
    assert len(segments) > 2
    code, said = ended_with(capsys, "verify", unfinished)
    assert code == 0, said
    code, said = ended_with(capsys, "info", unfinished)
    assert code == 0
    for word in ("unfinished", "epmq, T = 0.2", f"{checkpoints[1].name}; continue it with", " of 2 origins done, t = "):
        assert word in said
    with lock.held(unfinished):
        assert f"{unfinished}: running" in ended_with(capsys, "info", unfinished)[1]
    for path in (*checkpoints, segments[1]):
        folder = tmp_path / path.stem
        shutil.copytree(unfinished, folder)
        damaged = folder / path.relative_to(unfinished)
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        code, said = ended_with(capsys, "verify", folder)
        assert code == 1
        assert f"{damaged}: damaged: not what was written" in said
        code, said = ended_with(capsys, "info", folder)
        assert code == 0
        assert ("damaged  " in said) == (path == checkpoints[1])
    (folder / "journal" / segments[0].name).unlink()
    assert f"{folder / 'journal' / segments[0].name}: no such file" in ended_with(capsys, "verify", folder)[1]
    for path in folder.glob("checkpoint-*"):
        path.unlink()
    assert "checkpoint         none yet" in ended_with(capsys, "info", folder)[1]
    assert ended_with(capsys, "verify", folder)[0] == 0


def test_a_damaged_segment_of_the_journal_is_no_part_of_an_archive(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unfinished, folder)
    segment = folder / "journal" / "000000.h5"
    segment.write_bytes(segment.read_bytes()[:-1000])
    code, said = ended_with(capsys, "run", "--out", folder, "--resume")
    assert code == 0
    assert f"{segment}: damaged" in said
    assert "the archive will lack the origins that were in 1 segment of the journal" in said
    code, said = ended_with(capsys, "verify", folder)
    assert code == 1
    assert "archive.h5: lost before it was written: 0 origins, and what else was in 1 segment of the journal" in said
