"""`mpiepm info DIR`: what a run directory holds, in whatever state it is."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpiepm.analysis import words
from mpiepm.analysis.read import read
from mpiepm.core.amounts import in_time, number_of
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import StationaryRun
from mpiepm.io import archive, checkpoint, lock, rundir
from mpiepm.io.opening import seal_of
from mpiepm.models.parameters import Parameters, load

_TAIL = 4096  # bytes at the end of the log, in which the last line lies


def describe(folder: Path) -> str:
    """Status, model, progress, cost and history of a run, finished or not; what is damaged gets a line that says so.

    Raises
    ------
    ParameterError : if the directory holds no run
    """
    rundir.require_run(folder)
    rows: list[tuple[str, str]] = []
    history: list[dict[str, Any]] = []
    params: Parameters | None = None
    try:
        params = load(folder / rundir.PARAMETERS)
        rows += _what(params)
    except ParameterError as error:
        rows.append(("damaged", str(error)))
    holder = lock.holder(folder)
    status = "running" if holder else "unfinished"
    if (folder / archive.NAME).exists():
        status = "finished"
        try:
            run = read(folder)
            history = run.history
            rows += [("origins", str(len(run.data["origins/duration"]))), ("events", str(run.events))]
            rows += [("snapshots", line) for line in words.snapshots(run)]
        except ParameterError as error:
            rows.append(("damaged", str(error)))
    else:
        found, history = _progress(folder, params)
        rows += [("at work", str(holder) if holder else "no process"), *_last_line(folder), *found]
    rows += _costs(folder, history)
    return "\n".join([f"{folder}: {status}", *(f"  {name:18s} {value}" for name, value in rows), *_stretches(history)])


def _what(params: Parameters) -> list[tuple[str, str]]:
    model, size = params.model, params.lattice.size
    lattice = f"{size[0]} x {size[1]}"
    return [("model", f"{model.name}, {model.state_point()}"), ("lattice", lattice), ("engine", params.engine.name)]


def _last_line(folder: Path) -> Iterator[tuple[str, str]]:
    """The last line of the log, and how old it is; a line is written every minute while the run goes."""
    try:
        age = max(time.time() - (folder / rundir.LOG).stat().st_mtime, 0.0)
        with (folder / rundir.LOG).open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return
    if lines:
        message = lines[-1].split(" ", 2)[-1]  # after date and time
        yield "last in run.log", f"{message} ({in_time(age)} ago)"


def _progress(folder: Path, params: Parameters | None) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Rows about the newest checkpoint that is sound, and its history."""
    rows: list[tuple[str, str]] = []
    for path in checkpoint.existing(folder):
        try:
            seal_of(path, "checkpoint", checkpoint.SCHEMA)
            header, parts = checkpoint.read_header(path), checkpoint.read_parts(path)
        except ParameterError as error:
            rows.append(("damaged", str(error)))
            continue
        state = parts["state"]
        rows += [("checkpoint", f"{path.name}; continue it with --resume"), ("progress", _how_far(parts, params)),
                 ("events", str(state["events"]))]  # fmt: skip
        return rows, header["history"]
    return [*rows, ("checkpoint", "none yet")], []


def _how_far(parts: dict[str, Any], params: Parameters | None) -> str:
    time = parts["state"]["origin_time"] + parts["state"]["time"]
    origin = parts["phases"]["origin"]
    if params and isinstance(params.run, StationaryRun):
        total = params.run.total_time
        return f"{'equilibrating' if origin < 0 else 'stationary'}, t = {time:.6g} of {total:.6g} {params.units.time}"
    where = "equilibrating" if origin < 0 else f"{number_of(origin, 'origin')} done"
    if params and origin >= 0:
        where = f"{origin} of {params.run.origins + params.run.overlap - 1} origins done"
    return f"{where}, t = {time:.6g} {params.units.time if params else ''}"


def _costs(folder: Path, history: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    if history:
        stretches = "1 stretch" if len(history) == 1 else f"{len(history)} stretches"
        yield "wall time", f"{sum(stretch['wall_time'] for stretch in history):.1f} s in {stretches}"
    if memory := max((stretch.get("memory", 0) for stretch in history), default=0):
        yield "largest memory", f"{memory / 1e6:.0f} MB"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    yield "size on disk", f"{size / 1e6:.3f} MB"


def _stretches(history: list[dict[str, Any]]) -> Iterator[str]:
    for stretch in history:
        yield (
            f"  {stretch['started']}  {number_of(stretch['ranks'], 'rank')} on {', '.join(stretch['hosts'])}, "
            f"{stretch['wall_time']:.1f} s, mpiepm {stretch['mpiepm']} ({stretch['git']}), {stretch['mpi']}, "
            f"HDF5 {stretch['hdf5']}"
        )
        if "engine" in stretch:
            yield f"    engine {stretch['engine']}"
