"""What a run will cost, from its parameters: events, core-hours, memory, disk.

    events per site = equilibration + (origins + overlap - 1) / overlap x length of an origin

in units of 1/Gamma, the mean time between events of a site; the wall time is events x cost of an event (`campaign.speed`) plus
that of looking at the lattice. Gamma and tau_alpha were measured (run/ozawa_biroli_2023/README.md); mean-field theory will
not do, its Gamma is 28 times too small at T = 0.013.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from mpiepm.campaign import speed
from mpiepm.campaign.speed import Machine
from mpiepm.core.schedule import LogSpaced
from mpiepm.core.sections import StationaryRun
from mpiepm.io import space
from mpiepm.io.memory import forecast
from mpiepm.models.parameters import Parameters

# T; ln(1/Gamma) at L = 64 and from L = 128 on; tau_alpha Gamma
_MEASURED = np.array([
    (0.1, 7.916, 7.869, 0.95), (0.06, 19.77, 19.67, 1.13), (0.04, 58.17, 58.88, 1.32), (0.03, 179.3, 173.4, 1.45),
    (0.025, 439.7, 424.1, 1.54), (0.02, 1704, 1652, 1.64), (0.018, 3655, 3539, 1.68), (0.015, 1.801e4, 1.626e4, 1.77),
    (0.013, 7.675e4, 6.389e4, 1.83), (0.01, 1.845e6, 1.491e6, 1.99), (0.007, 1.182e9, 4.689e8, 2.23),
    (0.005, 5.534e12, 1.091e12, 2.48),
])  # fmt: skip
_NO_LESS = 1.0  # a run of no events at all still has to be started: seconds


@dataclass(frozen=True)
class Cost:
    """Of one run on `ranks` ranks.

    Attributes
    ----------
    events : on the whole lattice, from the start to the end
    seconds : of wall time
    memory : bytes, of all ranks together;  disk : bytes, the most at any time;  archive : bytes, what stays
    """

    ranks: int
    events: float
    seconds: float
    memory: int
    disk: int
    archive: int

    @property
    def core_hours(self) -> float:
        """Of all ranks."""
        return self.ranks * self.seconds / 3600.0


def predict(params: Parameters, ranks: int, machine: Machine) -> Cost:
    """Cost of a run on so many ranks of a machine."""
    if isinstance(params.run, StationaryRun):
        steps = params.run.total_time / params.engine.resolution
        events, seconds = 0.0, steps * speed.per_step(params, ranks)
    else:
        yield_time = inverse_yield_rate(params)
        per_site = events_per_site(params)
        events = per_site * params.lattice.size[0] * params.lattice.size[1]
        looking = speed.per_look(params, ranks, _looks(params, yield_time))
        seconds = events * speed.per_event(params, ranks, yield_time) + looking
    seconds = max(seconds * machine.factor(params.engine.name), _NO_LESS)
    archive = sum(space.archive_bytes(params).values())
    return Cost(ranks, events, seconds, sum(forecast(params, ranks)), space.disk_bytes(params), archive)


def inverse_yield_rate(params: Parameters) -> float:
    """1 / Gamma, sweeps: measured values, Arrhenius between and beyond them; without elasticity in closed form."""
    model = params.model
    if params.engine.extremal:  # time counts events
        return float(params.lattice.size[0] * params.lattice.size[1])
    temperature = model.reduced_temperature()
    if not model.elasticity:
        return _isolated(temperature)
    inverse = 1.0 / _MEASURED[:, 0]
    small, large = (_line(1.0 / temperature, inverse, np.log(_MEASURED[:, k])) for k in (1, 2))
    share = min(max(math.log2(min(params.lattice.size) / 64.0), 0.0), 1.0)
    return math.exp(min((1.0 - share) * small + share * large, 600.0))


@cache
def _isolated(temperature: float) -> float:
    from mpiepm.theory import noninteracting  # a third of a second, for scipy.integrate

    return float(noninteracting.inverse_yield_rate(temperature))


def _line(x: float, known: np.ndarray, values: np.ndarray) -> float:
    """Piecewise linear, going on beyond both ends."""
    k = int(np.clip(np.searchsorted(known, x) - 1, 0, len(known) - 2))
    return float(values[k] + (values[k + 1] - values[k]) * (x - known[k]) / (known[k + 1] - known[k]))


def origin_length(params: Parameters) -> float:
    """Of an origin, in units of 1 / Gamma."""
    run, model = params.run, params.model
    if run.origin_duration is not None:
        return run.origin_duration / inverse_yield_rate(params)
    if run.stop_persistence is not None:
        inverse = 200.0 if params.engine.extremal else 1.0 / model.reduced_temperature()
        return -math.log(run.stop_persistence) * max(_line(inverse, 1.0 / _MEASURED[:, 0], _MEASURED[:, 3]), 0.5)
    return run.origin_events_per_site or 0.0


def events_per_site(params: Parameters) -> float:
    """From the start to the end of the run."""
    run = params.run
    start = run.equilibrate.events_per_site or (run.equilibrate.time or 0.0) / inverse_yield_rate(params)
    return start + origin_length(params) * (run.origins + run.overlap - 1) / run.overlap


def _looks(params: Parameters, yield_time: float) -> dict[str, float]:
    """How often the observers look at all sites: at every lag, and at the lags of the mobility maps, of every origin."""
    output, duration = params.output, origin_length(params) * yield_time
    phases = params.run.origins + params.run.overlap - 1

    def lags(per_decade: int) -> float:
        return float(len(LogSpaced(output.lags.first, per_decade).up_to(duration)))

    maps = sum(lags(observer.per_decade) for observer in (output.four_point, output.clusters) if observer)
    looks = {"lags": lags(output.lags.per_decade), "maps": maps}
    return {kind: number * phases for kind, number in looks.items()}
