"""Tables for the screen: what a run measured, and what a run directory holds."""

import json
from collections.abc import Sequence
from pathlib import Path

from mpiepm.analysis import estimators
from mpiepm.analysis.read import read
from mpiepm.core.params import ParameterError
from mpiepm.io import archive, checkpoint, rundir


def summary(folders: Sequence[Path]) -> str:
    """One block for each finished run: tau_alpha, chi4 peak, yield rate, events, events per second."""
    return "\n\n".join(_block(folder) for folder in folders)


def _block(folder: Path) -> str:
    run = read(folder)
    history = json.loads(run.attributes["provenance"])
    model, size = run.params["model"], run.params["lattice"]["size"]
    seconds = sum(stretch["wall_time"] for stretch in history)
    total = int(run.events.sum()) + _equilibration_events(folder)
    inverse = estimators.inverse_yield_rate(run)
    rate = estimators.Estimate(1.0 / inverse.value, inverse.error / inverse.value**2)
    unit = "sweep" if model["temperature"] > 0 else "event"  # extremal dynamics counts events
    rows = [
        ("tau_alpha", f"{estimators.tau_alpha(run)} {unit}s"),
        ("chi4 peak", f"{estimators.chi4_peak(run)}"),
        ("yield rate", f"{rate} events per site and {unit}"),
        ("1 / yield rate", f"{inverse} {unit}s"),
        ("events", f"{total}"),
        ("events per second", f"{total / seconds:.3g}" if seconds else "-"),
    ]
    title = (
        f"{folder}: {model['name']}, T = {model['temperature']:g}, L = {size[0]} x {size[1]}, {len(run.events)} origins, "
        f"{history[-1]['ranks']} ranks, {seconds:.1f} s"
    )
    return "\n".join([title, *(f"  {name:18s} {value}" for name, value in rows)])


def _equilibration_events(folder: Path) -> int:
    """Events before the first origin."""
    from mpiepm.analysis.read import open_archive

    with open_archive(folder) as file:
        entries, origin = file["series/events"][:], file["series/origin"][:]
        return int(entries[origin == -1].max(initial=0))


def describe(folder: Path) -> str:
    """Status of a run directory, finished or not.

    Raises
    ------
    ParameterError : if it holds no run
    """
    if (folder / archive.NAME).exists():
        run = read(folder)
        history = json.loads(run.attributes["provenance"])
        lines = [f"{folder}: {run.attributes['status']}, {len(run.events)} origins"]
    elif newest := next(iter(checkpoint.existing(folder)), None):
        history = checkpoint.read_header(newest)["history"]
        lines = [f"{folder}: unfinished, newest checkpoint {newest.name}; continue it with --resume"]
    elif (folder / rundir.PARAMETERS).exists():
        return f"{folder}: no checkpoint and no archive yet"
    else:
        raise ParameterError(f"{folder}: holds no run")
    for stretch in history:
        lines.append(
            f"  {stretch['started']}  {stretch['ranks']} ranks on {', '.join(stretch['hosts'])}, "
            f"{stretch['wall_time']:.1f} s, mpiepm {stretch['mpiepm']} ({stretch['git']}), {stretch['mpi']}, "
            f"HDF5 {stretch['hdf5']}"
        )
        if "engine" in stretch:
            lines.append(f"    engine {stretch['engine']}")
    return "\n".join(lines)
