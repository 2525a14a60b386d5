"""What an event, a step and a look cost on one core, and how ranks share the work.

The built-in numbers are those of two quiet cores of a 2.6 GHz Xeon (README, docs/*_engine.md). Another machine is faster
or slower by one factor for each engine, which `mpiepm campaign plan --measure` finds, or a site profile states.

Split engine, seconds per event of a lattice of N sites on P ranks (near, flush, k and w fitted to benchmarks/split_engine.py):

    t = (near(N / P, R) + k) / P                              events of a rank's own strips, and kicks across their edges
      + (flush(N / P) N / P + 12 N / (P B) + 3 a P) min(1/n, v)   far field: transforms and bounds, Alltoallv of 12 N bytes
      + (w + 6 a log2 P) v                                    windows: Python; collectives and messages to neighbours

n = N (far_tolerance T)^2 / (<drop^2> 0.392 / (R + 1/2)^2) events between two far fields, of which there is at most one in
a window; v = (1 - exp(-m)) / m windows per event, m = N Gamma window: empty windows cost nothing. Bandwidth B and latency a
of the network are assumptions. `near` is that of R = 16, and 1.5 ns more for each site more within the radius R.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from mpiepm.core.engine_sections import Auto, Event, Split, Sweep
from mpiepm.core.sections import Positive, Section
from mpiepm.models.parameters import Parameters

US, NS = 1e-6, 1e-9
BANDWIDTH = 5e9   # bytes per second and rank, assumed
LATENCY = 3e-6    # seconds, assumed
_EVENT = np.array([(32, 5.5), (64, 7.0), (128, 12.0), (256, 23.1), (512, 75.6), (1024, 304.0)])  # L, us per event
_EVENT_COLLECTIVE = 7.0 * US    # per event on more than one rank, for each doubling of them
_ISOLATED = 2.5 * US            # per event without elasticity
_NEAR = (0.378, -2.99)          # us per event, a line in log2 of the sites of a rank
_FLUSH = (1.54, -11.0)          # ns per site of a rank, likewise
_KICKS, _WINDOW = 0.62 * US, (28.0 * US, 227.0 * US)  # of a window: on one rank, on more
_SQUARE = 1.6 * 0.392           # <drop^2> times the variance of the far kernel, times (radius + 1/2)^2
_KICK = 1.5e-3                  # us per event and site within the radius
_DOUBLING = 0.92                # efficiency of sweep and step for every doubling of the ranks
_LAG, _MAP = 40.0 * NS, 150.0 * NS  # per site: P, series, histogram, correlations at a lag; S4 or clusters of a map


class Factors(Section):
    """[factors] of a file: time of each engine over the built-in one."""

    event: Positive | None = None
    split: Positive | None = None
    sweep: Positive | None = None
    step: Positive | None = None
    auto: Positive | None = None

    def known(self) -> tuple[tuple[str, float], ...]:
        """Of those that are given."""
        return tuple(sorted(self.model_dump(exclude_none=True).items()))


@dataclass(frozen=True)
class Machine:
    """Times of this machine over the built-in ones, by engine."""

    name: str = "built-in numbers"
    factors: tuple[tuple[str, float], ...] = field(default=())

    def factor(self, engine: str) -> float:
        """Of an engine; of one that was not measured the mean of the others."""
        known = dict(self.factors)
        if engine in known or not known:
            return known.get(engine, 1.0)
        return math.exp(sum(map(math.log, known.values())) / len(known))


def per_event(params: Parameters, ranks: int, yield_time: float) -> float:
    """Seconds of wall time."""
    engine = params.engine
    if isinstance(engine, Auto):
        others = (Event(), Sweep(), Split())
        possible = [o for o in others if not isinstance(o, Split) or 2 * o.radius + 2 <= min(params.lattice.size)]
        return min(per_event(params.model_copy(update={"engine": one}), ranks, yield_time) for one in possible)
    sites = params.lattice.size[0] * params.lattice.size[1]
    if isinstance(engine, Sweep):
        return _per_window(engine, sites, ranks, yield_time) * yield_time / (engine.window * sites)
    if not params.model.elasticity:
        return _ISOLATED / ranks + _EVENT_COLLECTIVE * math.log2(ranks)
    if isinstance(engine, Event):
        return _exact(math.sqrt(sites)) / ranks + _EVENT_COLLECTIVE * math.log2(ranks)
    assert isinstance(engine, Split)
    return sum(split_parts(sites, ranks, params.model.stress_scale(), yield_time, engine).values())


def _exact(length: float) -> float:
    """Event engine: log-log between the measured sizes, beyond them in proportion to the sites."""
    known, cost = np.log(_EVENT).T
    x = math.log(length)
    return US * math.exp(float(np.interp(x, known, cost)) + 2.0 * max(x - float(known[-1]), 0.0))


def split_parts(sites: int, ranks: int, stress_scale: float, yield_time: float, engine: Split) -> dict[str, float]:
    """Seconds per event of the split engine: near, far, exchange, windows."""
    own = sites / ranks
    m = sites * engine.window / yield_time
    windows = -math.expm1(-m) / m  # per event
    waiting = _SQUARE / (sites * (engine.far_tolerance * stress_scale * (engine.radius + 0.5)) ** 2)
    flushes = min(waiting, windows)  # per event
    near = max(_line(_NEAR, own), 1.0) + _KICK * ((2 * engine.radius + 1) ** 2 - (2 * Split().radius + 1) ** 2)
    message = 0.0 if ranks == 1 else 12.0 * own / BANDWIDTH + 3.0 * LATENCY * ranks
    collectives = 0.0 if ranks <= 2 else 6.0 * LATENCY * math.log2(ranks)  # of two ranks: measured, in _WINDOW
    return {
        "near": (US * max(near, 0.5) + _KICKS) / ranks,
        "far": NS * max(_line(_FLUSH, own), 5.0) * own * flushes,
        "exchange": message * flushes,
        "windows": (_WINDOW[ranks > 1] + collectives) * windows,
    }


def _line(slope_and_offset: tuple[float, float], sites: float) -> float:
    return slope_and_offset[0] * math.log2(sites) + slope_and_offset[1]


def _per_window(engine: Sweep, sites: int, ranks: int, yield_time: float) -> float:
    """Sweep engine: attempts, and the redistribution where there is an event; large lattices leave the cache."""
    busy = -math.expm1(-sites * engine.window / yield_time)
    transforms = (2 * engine.harmonics + 2) * (2.5 if sites <= 1 << 18 else 5.2) * NS
    return sites * (30.0 * NS * engine.window + busy * (11.4 * NS + transforms)) / _shared(ranks)


def per_step(params: Parameters, ranks: int) -> float:
    """Seconds of a step of the step engine: hotter means more exponentials, larger than 512 out of the cache."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    memory = min(max(math.log2(sites) - 18.0, 0.0) / 4.0, 1.0)
    each = 9.0 * NS * (1.0 + 6.5 * (params.model.temperature or 0.0)) * (1.0 + 0.8 * memory)
    return sites * each / _shared(ranks)


def per_look(params: Parameters, ranks: int, looks: dict[str, float]) -> float:
    """Seconds of all looks at the lattice: so many at the "lags", so many at "maps"."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    lag = _LAG if params.output.correlations else 0.4 * _LAG
    return sites * (lag * looks["lags"] + _MAP * looks["maps"]) / _shared(ranks)


def _shared(ranks: int) -> float:
    """By how much so many ranks are faster than one."""
    return float(ranks * _DOUBLING ** math.log2(ranks))
