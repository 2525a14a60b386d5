"""What an event, a step and a look cost on one core, and how ranks share the work.

The numbers are in ``timings.toml``. Another machine is faster or slower by one factor for each engine, which
`mpiepm campaign plan --measure` finds, or a site profile states.

Split engine, seconds per event of a lattice of N sites on P ranks (near, flush, k and w fitted to benchmarks/split_engine.py):

    t = (near(N / P, R) + k) / P                              events of a rank's own strips, and kicks across their edges
      + (flush(N / P) N / P + 12 N / (P B) + 3 a P) min(1/n, v)   far field: transforms and bounds, Alltoallv of 12 N bytes
      + (w + 6 a log2 P) v                                    windows: Python; collectives and messages to neighbours

n = N (far_tolerance T)^2 / (<drop^2> 0.392 / (R + 1/2)^2) events between two far fields, of which there is at most one in
a window; v = (1 - exp(-m)) / m windows per event, m = N Gamma window: empty windows cost nothing. Bandwidth B and latency a
of the network are assumptions. `near` is that of R = 16, and 1.5 ns more for each site more within the radius R.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from mpiepm.core.engine_sections import Auto, Event, Split, Sweep
from mpiepm.core.sections import Positive, Section
from mpiepm.models.parameters import Parameters

US, NS = 1e-6, 1e-9
TIMINGS = tomllib.loads(resources.files("mpiepm.campaign").joinpath("timings.toml").read_text())


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
        return float(US * TIMINGS["isolated"] / ranks + US * TIMINGS["event_collective"] * math.log2(ranks))
    if isinstance(engine, Event):
        return float(_exact(math.sqrt(sites)) / ranks + US * TIMINGS["event_collective"] * math.log2(ranks))
    assert isinstance(engine, Split)
    return sum(split_parts(sites, ranks, params.model.stress_scale(), yield_time, engine).values())


def _exact(length: float) -> float:
    """Event engine: log-log between the measured sizes, beyond them in proportion to the sites."""
    known, cost = np.log(TIMINGS["event"]).T
    x = math.log(length)
    return US * math.exp(float(np.interp(x, known, cost)) + 2.0 * max(x - float(known[-1]), 0.0))


def split_parts(sites: int, ranks: int, stress_scale: float, yield_time: float, engine: Split) -> dict[str, float]:
    """Seconds per event of the split engine: near, far, exchange, windows."""
    own = sites / ranks
    m = sites * engine.window / yield_time
    windows = -math.expm1(-m) / m  # per event
    waiting = TIMINGS["square"] / (sites * (engine.far_tolerance * stress_scale * (engine.radius + 0.5)) ** 2)
    flushes = min(waiting, windows)  # per event
    kick = TIMINGS["kick"] * ((2 * engine.radius + 1) ** 2 - (2 * Split().radius + 1) ** 2)
    near = max(_line(TIMINGS["near"], own), 1.0) + kick
    message = 0.0 if ranks == 1 else 12.0 * own / TIMINGS["bandwidth"] + 3.0 * TIMINGS["latency"] * ranks
    collectives = 0.0 if ranks <= 2 else 6.0 * TIMINGS["latency"] * math.log2(ranks)  # of two ranks: measured, in the window
    return {
        "near": US * (max(near, 0.5) + TIMINGS["kicks"]) / ranks,
        "far": NS * max(_line(TIMINGS["flush"], own), 5.0) * own * flushes,
        "exchange": message * flushes,
        "windows": (US * TIMINGS["window"][ranks > 1] + collectives) * windows,
    }


def _line(slope_and_offset: Sequence[float], sites: float) -> float:
    return slope_and_offset[0] * math.log2(sites) + slope_and_offset[1]


def _per_window(engine: Sweep, sites: int, ranks: int, yield_time: float) -> float:
    """Sweep engine: attempts, and the redistribution where there is an event; large lattices leave the cache."""
    busy = -math.expm1(-sites * engine.window / yield_time)
    transforms = (2 * engine.harmonics + 2) * TIMINGS["transform"][sites > 1 << 18] * NS
    each = TIMINGS["attempt"] * NS * engine.window + busy * (TIMINGS["redistribution"] * NS + transforms)
    return float(sites * each / _shared(ranks))


def per_step(params: Parameters, ranks: int) -> float:
    """Seconds of a step of the step engine: hotter means more exponentials, larger than 512 out of the cache."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    memory = min(max(math.log2(sites) - 18.0, 0.0) / 4.0, 1.0)
    heat = 1.0 + TIMINGS["step_temperature"] * (params.model.temperature or 0.0)
    each = TIMINGS["step"] * NS * heat * (1.0 + TIMINGS["step_memory"] * memory)
    return float(sites * each / _shared(ranks))


def per_look(params: Parameters, ranks: int, looks: dict[str, float]) -> float:
    """Seconds of all looks at the lattice: so many at the "lags", so many at "maps"."""
    sites = params.lattice.size[0] * params.lattice.size[1]
    lag = TIMINGS["lag"] * (1.0 if params.output.correlations else 0.4)
    return float(NS * sites) * float(lag * looks["lags"] + TIMINGS["map"] * looks["maps"]) / _shared(ranks)


def _shared(ranks: int) -> float:
    """By how much so many ranks are faster than one."""
    return float(ranks * TIMINGS["doubling"] ** math.log2(ranks))
