"""Gather a campaign: what its runs measured, as one xarray.Dataset over state points; what each has cost, as JSON."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from mpiepm.analysis.read import open_archive
from mpiepm.analysis.results import analyse, save
from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.status import Status
from mpiepm.campaign.tables import state_point
from mpiepm.core.faults import ParameterError
from mpiepm.io import archive
from mpiepm.io.disk import write_text

RESULTS, TABLE, SUMMARY = "results.nc", "results.csv", "campaign.json"


def collect(campaign: Campaign, predicted: dict[str, Cost], statuses: dict[str, Status]) -> Iterator[str]:
    """Write results.nc, results.csv and campaign.json into OUT; a line for the screen for each, and for what was left out.

    Raises
    ------
    ParameterError : if they cannot be written
    """
    states, refused = results(campaign, statuses)
    yield from refused
    told = summary(campaign, predicted, statuses)
    try:
        campaign.out.mkdir(parents=True, exist_ok=True)
        if states is not None:
            for name in (RESULTS, TABLE):
                save(states, campaign.out / name)
            yield f"{campaign.out / RESULTS}, {TABLE}: {states.sizes['state']} state points"
        write_text(campaign.out / SUMMARY, json.dumps(told, indent=1) + "\n")
    except OSError as error:
        raise ParameterError(f"{campaign.out}: cannot be written: {error}") from None
    total = told["total"]
    yield f"{campaign.out / SUMMARY}: {total['finished']} of {total['runs']} runs finished"
    if total["core_hours"]:
        ratio = total["core_hours"] / total["predicted_core_hours_of_finished"]
        yield f"cost so far: {total['core_hours']:.3g} core-hours, {ratio:.2f} of what was predicted for these runs"


def results(campaign: Campaign, statuses: dict[str, Status]) -> tuple[xarray.Dataset | None, list[str]]:
    """Estimates at every state point over its finished seeds (`analysis.results`), and why some have none.

    To each state belong the coordinates `point`, its name, and `axis_L`, `axis_T`, ...: all axes of the campaign but the seed.
    """
    groups: dict[str, list[Point]] = {}
    for point in campaign.points:
        if statuses[point.name].state == "finished":
            groups.setdefault(state_point(point), []).append(point)
    found, refused = [], []
    for name, points in groups.items():
        try:
            states = analyse([point.folder for point in points])
        except ParameterError as error:
            refused.append(f"{name}: left out: {error}")
            continue
        axes = {f"axis_{key}": value for key, value in points[0].axes.items() if key != "seed"}
        labels = {"point": name, **axes}
        coordinates = {key: ("state", [_plain(value)] * states.sizes["state"]) for key, value in labels.items()}
        found.append(states.assign_coords(coordinates))
    if not found:
        return None, refused
    return xarray.concat(same_axes(found), "state", data_vars="all", join="outer"), refused


def same_axes(found: Sequence[xarray.Dataset]) -> list[xarray.Dataset]:
    """The datasets with the same axes, each of one kind: numbers, NaN where a grid lacks the axis, or else text, then empty."""
    names = sorted({str(name) for states in found for name in states.coords if str(name).startswith("axis_")})
    numeric = {name for name in names if all(states[name].dtype.kind in "iuf" for states in found if name in states.coords)}

    def column(states: xarray.Dataset, name: str) -> list[Any]:
        if name not in states.coords:
            return [np.nan if name in numeric else ""] * states.sizes["state"]
        return list(states[name].values if name in numeric else map(str, states[name].values))

    return [states.assign_coords({name: ("state", column(states, name)) for name in names}) for states in found]


def _plain(value: Any) -> float | int | str:
    """As it can stand in a file."""
    return value if isinstance(value, float | int | str) else json.dumps(value)


def summary(campaign: Campaign, predicted: dict[str, Cost], statuses: dict[str, Status]) -> dict[str, Any]:
    """All points, machine-readable: name, folder, axes, params, status, predicted and actual cost; and totals."""
    points = [_entry(point, predicted[point.name], statuses[point.name]) for point in campaign.points]
    finished = [entry for entry in points if entry["actual"]]  # and not damaged
    total = {
        "runs": len(points),
        "finished": sum(entry["status"] == "finished" for entry in points),
        "predicted_core_hours": sum(entry["predicted"]["core_hours"] for entry in points),
        "predicted_core_hours_of_finished": sum(entry["predicted"]["core_hours"] for entry in finished),
        "core_hours": sum(entry["actual"]["core_hours"] for entry in finished),
        "archive": sum(entry["actual"]["archive"] for entry in finished),
    }
    return {
        "name": campaign.name, "file": str(campaign.file), "out": str(campaign.out),
        "collected": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "total": total, "points": points,
        "strays": [str(folder) for folder in campaign.strays],
    }  # fmt: skip


def _entry(point: Point, predicted: Cost, status: Status) -> dict[str, Any]:
    actual, why = None, status.why
    if status.state == "finished":
        try:
            actual = actual_cost(point.folder)
        except ParameterError as error:
            why = str(error)
    return {
        "name": point.name,
        "state_point": state_point(point),
        "folder": str(point.folder),
        "axes": dict(point.axes),
        "params": point.params.model_dump(mode="json", exclude_none=True),
        "status": status.state,
        "why": why,
        "predicted": {**asdict(predicted), "core_hours": predicted.core_hours},
        "actual": actual,
    }


def actual_cost(folder: Path) -> dict[str, Any]:
    """What a finished run cost, from the provenance in its archive; units as in `Cost`.

    Raises
    ------
    ParameterError : if the archive is damaged
    """
    with open_archive(folder) as file:
        history: Sequence[dict[str, Any]] = json.loads(file.attrs["provenance"])
        events = int(np.asarray(file.attrs["events"]).item())
    seconds = sum(stretch["wall_time"] for stretch in history)
    work = sum(stretch["ranks"] * stretch["wall_time"] for stretch in history)
    return {
        "events": events, "seconds": seconds, "core_hours": work / 3600.0, "stretches": len(history),
        "memory": max((stretch["memory"] for stretch in history if "memory" in stretch), default=None),  # unknown in old ones
        "archive": (folder / archive.NAME).stat().st_size, "ranks": history[-1]["ranks"], "hosts": history[-1]["hosts"],
        "started": history[0]["started"], "git": history[-1].get("git", "unknown"),
    }  # fmt: skip
