"""What a run will take on disk, from its parameters alone: bytes of its archive and of a checkpoint. Knows no MPI.

How long an origin lasts may be a matter of the dynamics. Then it is guessed from the Arrhenius law of the paper's model,
1 / Gamma = exp(0.15 / T) sweeps. Lags are spaced logarithmically, so a guess that is wrong by a factor of ten adds or leaves
out `per_decade` of them; fields do not depend on it.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mpiepm.core.amounts import in_bytes
from mpiepm.core.engine_sections import Auto, Event, Split, Step
from mpiepm.core.faults import ParameterError
from mpiepm.core.output_sections import Output
from mpiepm.core.schedule import LogSpaced, end_of_step
from mpiepm.core.sections import StationaryRun
from mpiepm.io.disk import free_bytes, largest_file
from mpiepm.models.activated import LONGEST
from mpiepm.models.parameters import Parameters
from mpiepm.observe.bins import LogBins

_METADATA = (12_000, 1_100)     # of a file: parameters and provenance; and of each variable its header and dimensions
_WAITING = LogBins(-6, 18, 8).number
_AVALANCHES = LogBins(0, 12, 8, whole=True).number


@dataclass(frozen=True)
class _Durations:
    """Sweeps or tau: of equilibration, from an origin to the next, and of an origin; 0 where unknown."""

    equilibration: float
    spacing: float
    origin: float


def _durations(params: Parameters, *, least: bool) -> _Durations:
    run = params.run
    if isinstance(run, StationaryRun):
        return _Durations(run.equilibrate.time or 0.0, run.duration, run.duration)
    yield_time = 0.0 if least else _yield_time(params)
    equilibration = run.equilibrate.time or (run.equilibrate.events_per_site or 0.0) * yield_time
    if run.stop_persistence is not None:
        spacing = -math.log(run.stop_persistence) * yield_time
    else:
        spacing = (run.origin_duration or (run.origin_events_per_site or 0.0) * yield_time) / run.overlap
    return _Durations(*(min(time, LONGEST) for time in (equilibration, spacing, spacing * run.overlap)))


def _yield_time(params: Parameters) -> float:
    """1 / Gamma, guessed; extremal dynamics counts events."""
    if params.engine.extremal:
        return float(params.lattice.size[0] * params.lattice.size[1])
    return float(params.model.mean_time())


def archive_bytes(params: Parameters, *, least: bool = False) -> dict[str, int]:
    """Bytes of ``archive.h5`` by variable, and "metadata"; `least`: only what is certain, whatever the dynamics does."""
    durations = _durations(params, least=least)
    sizes = _stationary(params, durations) if params.run.stationary else _origins(params, durations)
    variables = {name: math.ceil(size) for name, size in sizes.items() if size}
    return {**variables, "metadata": _METADATA[0] + _METADATA[1] * len(variables)}


def _common(params: Parameters, samples: float) -> dict[str, float]:
    """Variables of both models; `samples`: snapshots taken."""
    output, origins = params.output, params.run.origins
    sites, bins = params.lattice.size[0] * params.lattice.size[1], output.histogram.bins
    return {
        "origins/time": 8 * origins, "origins/duration": 8 * origins, "origins/events": 8 * origins,
        "histograms/stress/edges": 8 * (bins + 1), "histograms/stress/counts": 8 * origins * bins,
        "histograms/stress/outside": 8 * origins,
        "fields/time": 8 * samples, "fields/origin": 8 * samples, "fields/lag": 8 * samples,
        "fields/stress": 8 * samples * sites, "fields/plastic_strain": 8 * samples * sites,
        "final/time": 8, "final/stress": 8 * sites, "final/plastic_strain": 8 * sites,
        "waiting_times/edges": 8 * (_WAITING + 1) * output.waiting_times,
        "waiting_times/exchange": 8 * origins * _WAITING * output.waiting_times,
        "waiting_times/open": 8 * origins * _WAITING * output.waiting_times,
        "origins/event_count": 4 * origins * sites * output.event_counts,
    }  # fmt: skip


def _correlations(origins: int, lags: int) -> dict[str, float]:
    return {
        "correlations/lag": 8 * lags, "correlations/wave_number": 8, "correlations/stress_square": 8 * origins,
        "correlations/stress_product": 8 * origins * lags, "correlations/plastic": 8 * origins * lags,
    }  # fmt: skip


def _origins(params: Parameters, durations: _Durations) -> dict[str, float]:
    output, origins = params.output, params.run.origins
    lx, ly = params.lattice.size
    schedule = LogSpaced(output.lags.first, output.lags.per_decade)
    lags = len(schedule.up_to(durations.origin))
    entries = _entries(params, schedule, durations.equilibration)
    entries += (origins + params.run.overlap - 1) * _entries(params, schedule, durations.spacing)
    taken = sum(lag <= durations.spacing for lag in output.snapshots) * min(origins, output.snapshot_origins)
    sizes = _common(params, taken)
    sizes |= {"persistence/lag": 8 * lags, "persistence/value": 8 * origins * lags}
    of_time = 4 if (params.engine.extremal or params.model.single_precision_suffices()) else 8
    sizes |= {"origins/first_event_time": of_time * origins * lx * ly * output.first_event_maps}
    sizes |= {f"series/{name}": 8 * entries for name in
              ("time", "origin", "lag", "events", "yield_rate", "mean_stress", "stress_variance")}  # fmt: skip
    sizes |= {"fields/persistence": taken * lx * ly}
    if output.correlations:
        sizes |= _correlations(origins, lags)
    if output.four_point:
        shells = max(lx, ly) // 2
        maps = _map_lags(output, output.four_point.per_decade, durations.origin)
        sizes |= {"four_point/lag": 8 * maps, "four_point/wave_number": 8 * shells, "four_point/vectors": 8 * shells,
                  "four_point/structure_factor": 8 * origins * maps * shells}  # fmt: skip
    if output.clusters:
        bins = LogBins(0, int(math.log10(lx * ly)) + 1, 8, whole=True).number
        maps = _map_lags(output, output.clusters.per_decade, durations.origin)
        sizes |= {"clusters/lag": 8 * maps, "clusters/edges": 8 * (bins + 1), "clusters/number": 8 * origins * maps * bins,
                  "clusters/mean_size": 8 * origins * maps, "clusters/largest": 8 * origins * maps}  # fmt: skip
    if output.avalanches:
        criteria = len(output.avalanches.gaps) + len(output.avalanches.thresholds)
        each = 8 * origins * criteria
        sizes |= {"avalanches/gap": 8 * criteria, "avalanches/threshold": 8 * criteria,
                  "avalanches/edges": 8 * (_AVALANCHES + 1), "avalanches/moments": 5 * each}  # fmt: skip
        sizes |= {f"avalanches/{name}": _AVALANCHES * each for name in ("number", "duration", "extent")}
    return sizes


def _map_lags(output: Output, per_decade: int, duration: float) -> int:
    return len(LogSpaced(output.lags.first, per_decade).up_to(duration))


def _entries(params: Parameters, schedule: LogSpaced, duration: float) -> int:
    """Entries of the series in one phase: the lags, but only one for each boundary of the engine."""
    lags = schedule.up_to(duration).tolist()
    step = 0.0 if isinstance(params.engine, Auto) else params.engine.resolution
    return len({end_of_step(lag, step) for lag in lags}) if step else len(lags)


def _stationary(params: Parameters, durations: _Durations) -> dict[str, float]:
    output, tracers = params.output, params.tracers
    (lx, ly), duration = params.lattice.size, durations.origin
    interval = max(output.interval, params.engine.resolution)
    entries = int(durations.equilibration / interval) + int(duration / interval)
    taken = sum(time <= duration for time in output.snapshots)
    sizes = _common(params, taken)
    sizes |= {f"series/{name}": 8 * entries for name in
              ("time", "origin", "lag", "events", "yield_rate", "activity", "mean_stress", "stress_variance",
               "stress_kurtosis")}  # fmt: skip
    sizes |= {"fields/active": taken * lx * ly, "final/active": lx * ly}
    if output.correlations:
        sizes |= _correlations(1, len(LogSpaced(1.0, 16).up_to(duration)))
    if tracers:
        frames = 1 + int(duration / max(tracers.interval or 1.0, params.engine.resolution))
        if tracers.frames:
            frames = 1 + len(LogSpaced(tracers.frames.first, tracers.frames.per_decade).up_to(duration))
        sizes |= {"tracers/time": 8 * frames, "tracers/position": 16 * frames * tracers.number}
    return sizes


def checkpoint_bytes(params: Parameters) -> int:
    """Bytes of one checkpoint: fields of the state, the engine and the observers."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    per_site = params.model.field_bytes() + observer_bytes_per_site(params)
    engine = params.engine
    if isinstance(engine, Step):
        tracers = 16 * params.tracers.number if params.tracers else 0
        return int(per_site * sites + tracers + _METADATA[0])
    limits = 4 * isinstance(engine, Event | Split | Auto) * (not engine.extremal)
    sources = 8 * isinstance(engine, Split | Auto)
    return int(per_site + limits + sources) * sites + 2 * _METADATA[0]


def observer_bytes_per_site(params: Parameters) -> int:
    """Fields that observers keep, and save: maps of open origins, fields at their beginning, last events, counts."""
    output = params.output
    maps = 0 if params.run.stationary else 8 * params.run.overlap
    beginnings = 16 * params.run.overlap * (output.correlations is not None)
    return int(maps + beginnings + 8 * output.waiting_times + 4 * output.event_counts)


def disk_bytes(params: Parameters) -> int:
    """Largest need of a run directory.

    While it runs: the records so far in the journal, two checkpoints and the one being written. At the end: the journal, the
    archive that it is joined to, two checkpoints, and the state that is kept.
    """
    archive, saved = sum(archive_bytes(params).values()), checkpoint_bytes(params)
    return archive + max(3 * saved, archive + (2 + int(params.output.keep_state)) * saved)


def check(params: Parameters, folder: Path) -> str:
    """Compare with the room that there is for a run in `folder`: a warning if it may not suffice, "" if it will.

    What the folder holds already counts as room: it belongs to the run, or makes place for it.

    Raises
    ------
    ParameterError : if the archive alone surely does not fit
    """
    free, limit = free_bytes(folder), largest_file()
    least, likely = archive_bytes(params, least=True), archive_bytes(params)
    archive, saved = sum(least.values()), checkpoint_bytes(params)
    largest = max(likely, key=lambda name: likely[name])
    part = f"most of it {largest} with {in_bytes(likely[largest])}"
    refused = f"--out {folder}: the archive takes {in_bytes(archive)} ({part})"
    if limit is not None and archive > limit:
        raise ParameterError(f"{refused}, files are limited to {in_bytes(limit)}")
    if free is None:
        return ""
    with suppress(OSError):  # what is wrong with the directory is said elsewhere
        free += sum(path.stat().st_size for path in (*folder.glob("*"), *folder.glob("journal/*")) if path.is_file())
    if archive > free:
        raise ParameterError(f"{refused}, {in_bytes(free)} are free")
    if (most := disk_bytes(params)) > 0.9 * free:
        return (
            f"{folder}: the run may take up to {in_bytes(most)}: its journal, the archive of {in_bytes(sum(likely.values()))} "
            f"({part}) joined from it, and checkpoints of {in_bytes(saved)} each; {in_bytes(free)} are free"
        )
    if limit is not None and (most := max(saved, sum(likely.values()))) > 0.9 * limit:
        return f"{folder}: a file of the run may take {in_bytes(most)}, files are limited to {in_bytes(limit)}"
    return ""
