"""The directory of a run: what belongs to us in it, and what a new run may do with what it finds."""

import os
from contextlib import suppress
from pathlib import Path

from mpiepm.core.faults import WriteError
from mpiepm.core.params import AnyParameters, ParameterError, load
from mpiepm.io import archive, checkpoint
from mpiepm.io.disk import NO_ROOM, numbers

PARAMETERS = "params.toml"
LOG = "run.log"
HEARTBEATS = "heartbeats"  # of `watchdog`, on several ranks, while they run


def _ours(folder: Path) -> list[Path]:
    names = (PARAMETERS, PARAMETERS + ".partial", LOG, LOG + ".1", HEARTBEATS, archive.NAME, archive.NAME + ".partial")
    return [*(folder / name for name in names if (folder / name).exists()), *folder.glob("checkpoint-[0-9]*.h5*")]


def prepare(folder: Path, params: AnyParameters | None, *, resume: bool, overwrite: bool) -> tuple[AnyParameters, bool]:
    """Check the directory before any work starts (on rank 0): the parameters to run with, and whether to resume.

    Raises
    ------
    ParameterError : if the directory is in use and neither `resume` nor `overwrite` says what to do, if it holds another
        run than the one to be resumed, or if it cannot be made; nothing in it has changed then
    WriteError : if there is no room for it
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"--out {folder}: exists and is not a directory")
    used = _ours(folder) if folder.is_dir() else []
    if resume and used:
        return _resumable(folder, params), True
    if params is None:
        raise ParameterError(f"--resume: {folder} holds no run, and no parameter file was given")
    if used and not overwrite:
        raise ParameterError(f"--out {folder}: holds a run already; use --resume to continue it or --overwrite to drop it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in used:
            path.unlink()
        archive.remove_journal(folder)
    except OSError as error:
        raise ParameterError(f"--out {folder}: {error.strerror}: {error.filename}") from None
    _write_parameters(folder / PARAMETERS, params)
    return params, False


def _write_parameters(path: Path, params: AnyParameters) -> None:
    """Whole or not at all.

    Raises
    ------
    WriteError : if there is no room
    ParameterError : if it must not be written
    """
    text = params.to_toml().encode()
    partial = path.with_name(path.name + ".partial")
    reason = f"{path}: cannot be written: "
    try:
        with partial.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        reason += f"{error.strerror} ({numbers(path.parent, len(text))})"
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise WriteError(reason) from None
        raise ParameterError(reason) from None


def _resumable(folder: Path, params: AnyParameters | None) -> AnyParameters:
    stored = load(folder / PARAMETERS)
    if params is not None and params != stored:
        changed = _differences(stored.model_dump(), params.model_dump())
        raise ParameterError(f"--resume: {folder} holds a run with other parameters: {'; '.join(changed)}")
    return stored


def _differences(old: dict[str, object], new: dict[str, object], prefix: str = "") -> list[str]:
    lines = []
    for key in old.keys() | new.keys():
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key} is {a!r} there and {b!r} here")
    return sorted(lines)


def is_finished(folder: Path) -> bool:
    """Has the run in `folder` left its archive? That is written once, complete, so nothing else is asked."""
    return (folder / archive.NAME).exists()


def tidy(folder: Path) -> None:
    """Remove what a finished run no longer needs: its checkpoints and its journal."""
    for path in checkpoint.existing(folder):
        path.unlink()
    archive.remove_journal(folder)
