"""What a new run may do in a directory: nothing to what is not ours, nothing while another run is alive."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from mpiepm.core.faults import ParameterError
from mpiepm.io import rundir
from mpiepm.models.parameters import parse

PARAMS = parse("[model]\ntemperature = 0.1")


def ours(path: Path) -> None:
    """A file as we would write it, as far as the directory is concerned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "mpiepm test 1"


def run_files(folder: Path) -> None:
    """What an unfinished run leaves, in the middle of a file too."""
    for name in ("checkpoint-000007.h5", "checkpoint-1000000.h5", "journal/000000.h5", "archive.h5", "state.h5"):
        ours(folder / name)
    for name in ("checkpoint-000009.h5", "journal/000001.h5", "archive.h5", "params.toml", "state.h5"):
        (folder / f"{name}.partial").write_bytes(b"half")
    (folder / "params.toml").write_text(PARAMS.to_toml())
    (folder / "run.log").write_text("2025-11-21 12:38:01,123 start: lattice 256 x 256\n")
    damaged = (folder / "checkpoint-000007.h5").read_bytes()[:500]
    (folder / "checkpoint-000008.h5").write_bytes(damaged)


def everything(folder: Path) -> dict[str, bytes | str]:
    """All files and links below a directory."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()
    }  # fmt: skip


FOREIGN = (
    "notes.txt", "params.toml.orig", "checkpoint-1.h5", "checkpoint-2024-01-01.h5", "checkpoint-000001.h5.bak",
    "archive.h5.txt", "my-archive.h5", "journal/notes.txt", "journal/1.h5", "journal/2024/000000.h5", "journal/000000.h5.gz",
    "results/archive.h5", "results/params.toml", ".hidden",
)  # fmt: skip


def test_overwrite_drops_the_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_files(folder)
    for name in FOREIGN:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{name} is mine")
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link").symlink_to(tmp_path / "outside.txt")
    rundir.prepare(folder, PARAMS, resume=False, overwrite=True)
    left = everything(folder)
    assert left.pop("params.toml") == PARAMS.to_toml().encode()
    assert left.pop("link") == str(tmp_path / "outside.txt")
    assert left == {name: f"{name} is mine".encode() for name in FOREIGN}
    assert (tmp_path / "outside.txt").read_text() == "outside"


def _text(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")

    return make


def _link(name: str, to_folder: bool = False) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        target = folder.parent / "outside"
        if to_folder:
            ours(target / "000000.h5")
        else:
            ours(target)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target)

    return make


def _other_program(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        with h5py.File(folder / name, "w") as file:
            file["precious"] = 1.0

    return make


def _folder(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).mkdir(parents=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (_text("archive.h5"), "archive.h5"), (_text("checkpoint-000001.h5"), "checkpoint-000001.h5"),
        (_text("params.toml"), "params.toml"), (_text("run.log"), "run.log"), (_text("journal"), "journal"),
        (_text("journal/000003.h5"), "journal/000003.h5"), (_other_program("archive.h5"), "archive.h5"),
        (_other_program("journal/000000.h5"), "journal/000000.h5"), (_link("archive.h5"), "archive.h5"),
        (_link("checkpoint-000001.h5"), "checkpoint-000001.h5"), (_link("params.toml"), "params.toml"),
        (_link("journal", True), "journal"), (_folder("archive.h5"), "archive.h5"), (_folder("params.toml"), "params.toml"),
    ],
)  # fmt: skip
def test_a_file_of_others_in_the_way_stays(
    tmp_path: Path, make: Callable[[Path], None], named: str, overwrite: bool, resume: bool
) -> None:
    if resume and overwrite:
        return
    folder = tmp_path / "run"
    folder.mkdir()
    make(folder)
    before = everything(tmp_path)
    if resume and (folder / "archive.h5").is_symlink():
        named = "params.toml"  # a finished run may be kept elsewhere; this one lacks its parameters
    with pytest.raises(ParameterError, match=str(folder / named)):
        rundir.prepare(folder, PARAMS, resume=resume, overwrite=overwrite)
    assert everything(tmp_path) == before


def test_what_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="holds no run"):
        rundir.prepare(tmp_path / "a" / "b" / "c", None, resume=True, overwrite=False)
    assert list(tmp_path.iterdir()) == []
    with rundir.occupied(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_was_killed_early_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "params.toml.partial").write_text("[mod")
    (tmp_path / "run.lock").write_text("")
    assert rundir.prepare(tmp_path, PARAMS, resume=True, overwrite=False) == (PARAMS, False)
    assert [path.name for path in tmp_path.iterdir()] == ["params.toml"]
    assert rundir.prepare(tmp_path, PARAMS, resume=True, overwrite=False) == (PARAMS, True)
