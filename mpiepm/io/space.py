"""What a run will take on disk, from its parameters alone: bytes of its archive and of a checkpoint. Knows no MPI.

How long an origin lasts may be a matter of the dynamics. Then it is guessed from the Arrhenius law of the paper's model,
1 / Gamma = exp(0.15 / T) sweeps. Lags are spaced logarithmically, so a guess that is wrong by a factor of ten adds or leaves
out `per_decade` of them; fields do not depend on it.
"""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np

from mpiepm.core.amounts import in_bytes
from mpiepm.core.engine_sections import Auto, Event, Split, Step
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import StationaryRun
from mpiepm.io.disk import free_bytes, largest_file
from mpiepm.models.activated import LONGEST
from mpiepm.models.parameters import Parameters
from mpiepm.observe.base import Durations, wanted

_METADATA = (12_000, 1_100)     # of a file: parameters and provenance; and of each variable its header and dimensions


def _durations(params: Parameters, *, least: bool) -> Durations:
    run = params.run
    if isinstance(run, StationaryRun):
        return Durations(run.equilibrate.time or 0.0, run.duration, run.duration)
    yield_time = 0.0 if least else _yield_time(params)
    equilibration = run.equilibrate.time or (run.equilibrate.events_per_site or 0.0) * yield_time
    if run.stop_persistence is not None:
        spacing = -math.log(run.stop_persistence) * yield_time
    else:
        spacing = (run.origin_duration or (run.origin_events_per_site or 0.0) * yield_time) / run.overlap
    return Durations(*(min(time, LONGEST) for time in (equilibration, spacing, spacing * run.overlap)))


def _yield_time(params: Parameters) -> float:
    """1 / Gamma, guessed; extremal dynamics counts events."""
    if params.engine.extremal:
        return float(params.lattice.size[0] * params.lattice.size[1])
    return float(params.model.mean_time())


def archive_bytes(params: Parameters, *, least: bool = False) -> dict[str, int]:
    """Bytes of ``archive.h5`` by variable, and "metadata"; `least`: only what is certain, whatever the dynamics does."""
    durations = _durations(params, least=least)
    sizes: dict[str, float] = {}
    for kind in wanted(params):
        sizes |= kind.archive_bytes(params, durations)
    sites = params.lattice.size[0] * params.lattice.size[1]
    fields = params.model.state_fields()
    sizes |= {"final/time": 8, **{f"final/{name}": np.dtype(kind).itemsize * sites for name, kind in fields.items()}}
    variables = {name: math.ceil(size) for name, size in sizes.items() if size}
    return {**variables, "metadata": _METADATA[0] + _METADATA[1] * len(variables)}


def checkpoint_bytes(params: Parameters) -> int:
    """Bytes of one checkpoint: fields of the state, the engine and the observers."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    per_site = sum(np.dtype(kind).itemsize for kind in params.model.state_fields().values()) + observer_bytes_per_site(params)
    engine = params.engine
    if isinstance(engine, Step):
        tracers = 16 * params.tracers.number if params.tracers else 0
        return int(per_site * sites + tracers + _METADATA[0])
    limits = 4 * isinstance(engine, Event | Split | Auto) * (not engine.extremal)
    sources = 8 * isinstance(engine, Split | Auto)
    return int(per_site + limits + sources) * sites + 2 * _METADATA[0]


def observer_bytes_per_site(params: Parameters) -> int:
    """Fields that observers keep, and save: maps of open origins, fields at their beginning, last events, counts."""
    return sum(kind.site_bytes(params) for kind in wanted(params))


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
