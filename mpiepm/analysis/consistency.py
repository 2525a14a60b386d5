"""Do the contents of an archive fit together? Most things are known from two sides; here they are compared."""

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from mpiepm.analysis.read import Run
from mpiepm.core.schedule import LogSpaced

Check = Callable[[Any, str], bool]

_SINGLE = 2e-7  # relative rounding of first event times, which are stored in single precision
_OWN_LAGS = ("four_point", "clusters")
_MAY_BE_NAN = {"persistence/value", "correlations/stress_product", "correlations/plastic", "four_point/structure_factor",
               "clusters/number", "clusters/mean_size", "clusters/largest", "avalanches/gap", "avalanches/threshold",
               "series/stress_kurtosis"}  # fmt: skip


def check_contents(run: Run, file: h5py.File, check: Check) -> None:
    """Call `check(fine, finding)` for everything there is to compare in the archive `file` of `run`."""
    lx, ly = run.params["lattice"]["size"]
    sites = lx * ly
    check(run.status == "finished", f"status is {run.status!r}")
    for name, values in run.data.items():
        if values.dtype.kind == "f" and name not in _MAY_BE_NAN:
            check(np.isfinite(values), f"{name} is not finite everywhere")
    _origins(run, check)
    known = (run.data["series/origin"] >= -1) & (run.data["series/origin"] < len(run.data["origins/time"]))
    if not check(known, "series/origin: not an origin that there is"):
        return
    _series(run, sites, check)
    counts = run.data["histograms/stress/counts"].sum(axis=1) + run.data["histograms/stress/outside"]
    entries = np.bincount(run.data["series/origin"] + 1, minlength=len(counts) + 1)[1:]
    check(counts == sites * entries, "histograms/stress: its totals are not the number of sites times that of the entries")
    check(np.diff(run.data["histograms/stress/edges"]) > 0, "histograms/stress/edges do not increase")
    if "waiting_times/exchange" in run.data:
        waits = run.data["waiting_times/exchange"].sum(axis=1)
        check(waits <= run.data["origins/events"], "waiting_times/exchange: more waiting times than events")
    if "avalanches/number" in run.data:
        number = run.data["avalanches/number"].sum(axis=2)
        check(number == run.data["avalanches/moments"][..., 0], "avalanches: numbers and moments differ")
    if not run.stationary:
        _persistence(run, file, sites, check)
    _maps(run, file, (lx, ly), check)
    if "tracers/time" in run.data:
        _tracers(run, file, (lx, ly), check)


def _origins(run: Run, check: Check) -> None:
    time, duration = run.data["origins/time"], run.data["origins/duration"]
    expected = run.params["run"].get("origins", 1)
    check(len(time) == expected, f"origins: {len(time)} instead of {expected}")
    check(duration > 0.0, "origins/duration is not positive")
    check(np.isclose(time[1:], (time + duration)[:-1], rtol=1e-9), "origins/time: an origin does not begin where one ends")
    check(run.data["origins/events"] >= 0, "origins/events is negative")
    check(run.data["origins/events"].sum() <= run.events, "origins/events: more than in the whole run")


def _series(run: Run, sites: int, check: Check) -> None:
    time, origin, lag, events, rate = (run.data[f"series/{name}"] for name in ("time", "origin", "lag", "events", "yield_rate"))
    if not check(len(time) > 0, "series is empty"):
        return
    check(np.diff(time) > 0.0, "series/time does not increase")
    check(np.diff(origin) >= 0, "series/origin decreases")
    check(np.diff(events) >= 0, "series/events decreases")
    check(events[-1] <= run.events, "series/events: more than in the whole run")
    first = np.diff(origin, prepend=-2) != 0
    since = np.where(first, 0.0, np.roll(lag, 1))
    performed = rate * sites * (lag - since)
    before = np.where(first, np.rint(events - performed), np.roll(events, 1))
    check(np.abs(events - before - performed) < 1e-6 * np.maximum(events, 1), "series/yield_rate: not that of series/events")
    check(before[1:] >= events[:-1], "series/yield_rate: not that of series/events, at the first entry of an origin")
    began = before[first & (origin >= 0)]
    if len(began) == len(run.data["origins/events"]):
        check(np.diff(began) == run.data["origins/events"][:-1], "origins/events: not those of the series")
    starts = np.where(origin >= 0, run.data["origins/time"][np.maximum(origin, 0)], 0.0)
    check(np.isclose(time, starts + lag, rtol=1e-9), "series/time: not that of the origin and series/lag")
    check(run.data["series/stress_variance"] >= 0.0, "series/stress_variance is negative")
    if "series/activity" in run.data:
        activity = run.data["series/activity"]
        check((activity >= 0.0) & (activity <= 1.0), "series/activity is not between 0 and 1")


def _grid(run: Run, group: str, per_decade: int, first: float, check: Check) -> None:
    lag = run.data[f"{group}/lag"]
    expected = [LogSpaced(first, per_decade).value(k) for k in range(len(lag))]
    check(np.allclose(lag, expected, rtol=1e-12), f"{group}/lag: not the lags of output.lags")


def _persistence(run: Run, file: h5py.File, sites: int, check: Check) -> None:
    output = run.params["output"]
    first = output["lags"]["first"]
    for group in ("persistence", "correlations", "four_point", "clusters"):
        if f"{group}/lag" in run.data:
            _grid(run, group, output[group if group in _OWN_LAGS else "lags"]["per_decade"], first, check)
    lag, value = run.data["persistence/lag"], run.data["persistence/value"]
    if not check(value.shape == (len(run.data["origins/time"]), len(lag)), "persistence/value: not an entry for each lag"):
        return
    known = ~np.isnan(value)
    check(known[:, :-1] >= known[:, 1:], "persistence/value: a gap before the end of an origin")
    filled = np.where(known, value, 0.0)
    check((filled >= 0.0) & (filled <= 1.0), "persistence/value is not between 0 and 1")
    check(np.diff(filled, axis=1) <= 0.0, "persistence/value increases")
    check(np.abs(filled * sites - np.rint(filled * sites)) < 1e-6 * sites, "persistence/value: no number of sites")
    if "origins/first_event_time" not in file:
        return
    maps = file["origins/first_event_time"]
    if not check(maps.shape[0] == len(value), "origins/first_event_time: not a map for each origin"):
        return
    for origin in range(len(value)):
        times = np.sort(maps[origin], axis=None).astype(float)
        check(times[0] > 0.0, f"origins/first_event_time: P(0) is not 1, origin {origin}")
        most, least = (1.0 - np.searchsorted(times, lag * (1.0 + shift), side="right") / sites for shift in (-_SINGLE, _SINGLE))
        here = value[origin]
        fine = np.isnan(here) | ((here >= least - 1e-12) & (here <= most + 1e-12))
        check(fine, f"persistence/value: not that of origins/first_event_time, origin {origin}")


def _maps(run: Run, file: h5py.File, size: tuple[int, int], check: Check) -> None:
    for name, dims in run.dims.items():
        if dims[1:] == ("x", "y"):
            check(file[name].shape[1:] == size, f"{name}: {file[name].shape[1:]}, not the lattice")
    if "origins/event_count" in file:
        for origin, events in enumerate(run.data["origins/events"]):
            counted = int(file["origins/event_count"][origin].sum(dtype=np.int64))
            check(counted == events, f"origins/event_count: {counted} events, not {events}, origin {origin}")
    for name in ("final/stress", "final/plastic_strain"):
        check(name not in file or np.isfinite(file[name]), f"{name} is not finite everywhere")
    for name in ("stress", "plastic_strain", "persistence", "active"):
        for k in range(len(run.data.get("fields/time", ()))):
            if f"fields/{name}" in file:
                _field(run, file, name, k, check)


def _field(run: Run, file: h5py.File, name: str, k: int, check: Check) -> None:
    values: Any = file[f"fields/{name}"][k]
    if name in ("stress", "plastic_strain"):
        check(np.isfinite(values), f"fields/{name} is not finite, snapshot {k}")
        return
    check(np.abs(values) <= 1, f"fields/{name} has other values than -1, 0, 1, snapshot {k}")
    origin, lag = int(run.data["fields/origin"][k]), float(run.data["fields/lag"][k])
    if name == "persistence" and "origins/first_event_time" in file and origin < file["origins/first_event_time"].shape[0]:
        times = file["origins/first_event_time"][origin]
        clear = np.abs(times - lag) > _SINGLE * lag
        check((values == (times > lag))[clear], f"fields/persistence: not that of origins/first_event_time, snapshot {k}")


def _tracers(run: Run, file: h5py.File, size: tuple[int, int], check: Check) -> None:
    times, positions = run.data["tracers/time"], file["tracers/position"]
    shape = (len(times), run.params["tracers"]["number"], 2)
    if not check(positions.shape == shape, f"tracers/position: {positions.shape}, must be {shape}"):
        return
    check(times[0] == 0.0 and np.all(np.diff(times) > 0.0), "tracers/time does not increase from 0")
    check((positions[0] >= 0.0) & (positions[0] <= size), "tracers/position: the first frame is not on the lattice")
    fine = all(bool(np.isfinite(positions[k]).all()) for k in range(len(times)))
    check(fine, "tracers/position is not finite everywhere")
