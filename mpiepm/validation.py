"""Do the engines do what they should? Against closed forms without elasticity, and against each other with it.

Every comparison is a row: value and standard error (jackknife over origins), what is expected and its standard error, the
difference in combined standard errors, pass or fail.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.integrate import quad

from mpiepm.analysis.ensembles import complete
from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.estimators import chi4, relaxation_time
from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation
from mpiepm.theory import noninteracting

LIMIT = 3.0  # combined standard errors
PAPER_TEMPERATURES = (0.1, 0.06, 0.04, 0.03, 0.025, 0.02, 0.018, 0.015, 0.013)  # Ozawa & Biroli 2023, figure 1
STOP = 0.01
STRIPS = {"split": ["engine.radius=8", "engine.strip=16"]}  # several strips on small lattices too, whatever the ranks
HEADER = f"{'case':34s} {'quantity':14s} {'value':>24s} {'expected':>24s} {'diff/se':>8s}"


@dataclass(frozen=True)
class Row:
    """One comparison; without an expectation it is for information only."""

    case: str
    quantity: str
    value: Estimate
    expected: Estimate | None

    @property
    def difference(self) -> float:
        """In combined standard errors."""
        assert self.expected is not None
        return float((self.value.value - self.expected.value) / np.hypot(self.value.error, self.expected.error))

    @property
    def passed(self) -> bool:
        """Within `LIMIT` combined standard errors? Not, if there is no number to judge."""
        return self.expected is None or bool(abs(self.difference) <= LIMIT)

    def __str__(self) -> str:
        left = f"{self.case:34s} {self.quantity:14s} {self.value!s:>24s}"
        if self.expected is None:
            return f"{left} {'-':>24s} {'-':>8s}"
        return f"{left} {self.expected!s:>24s} {self.difference:8.2f}  {'pass' if self.passed else 'FAIL'}"


@dataclass(frozen=True)
class Sample:
    """What a run measured, origin by origin; P is NaN where an origin has ended."""

    sites: int
    lag: np.ndarray
    persistence: np.ndarray
    duration: np.ndarray
    events: np.ndarray
    stress_square: np.ndarray

    def inverse_rate(self) -> Estimate:
        """1 / Gamma, sweeps."""
        return jackknife(lambda o: float(self.duration[o].sum() * self.sites / self.events[o].sum()), len(self.events))

    def mean_square(self) -> Estimate:
        """Second moment of the stress."""
        return jackknife(lambda o: float(self.stress_square[o].mean()), len(self.events))

    def persistence_at(self, k: int) -> Estimate:
        """<P> at lag number k."""
        return jackknife(lambda o: float(self.persistence[o, k].mean()), len(self.events))

    def persistence_after(self, time: float) -> Estimate:
        """<P> at the lag next to `time`, sweeps, of origins that have ended at `STOP`."""
        lag, p = complete(self.lag, self.persistence, STOP)
        k = int(np.argmin(np.abs(lag - time)))
        return jackknife(lambda o: float(p[o, k].mean()), len(p))

    def tau_alpha(self) -> Estimate:
        """Relaxation time, sweeps."""
        lag, p = complete(self.lag, self.persistence, STOP)
        return jackknife(lambda o: relaxation_time(lag, p[o]), len(p))

    def chi4_peak(self) -> Estimate:
        """Largest chi4."""
        _, p = complete(self.lag, self.persistence, STOP)
        return jackknife(lambda o: float(chi4(p[o], self.sites).max()), len(p))


def measure(params: Parameters) -> Sample:
    """Run a simulation in memory. Collective."""
    simulation = Simulation(slabs(params), params)
    records: dict[str, list[Any]] = {}
    while not simulation.finished:
        simulation.step(np.inf, lambda name, value: records.setdefault(name, []).append(value))
    assert simulation.persistence is not None
    lag = simulation.persistence.constants()["persistence/lag"]
    padded = [np.pad(p, (0, len(lag) - len(p)), constant_values=np.nan) for p in records["persistence/value"]]
    origin = np.array(records["series/origin"])
    square = np.array(records["series/stress_variance"]) + np.array(records["series/mean_stress"]) ** 2
    return Sample(
        sites=simulation.domain.sites,
        lag=lag,
        persistence=np.array(padded),
        duration=np.array(records["origins/duration"]),
        events=np.array(records["origins/events"]),
        stress_square=np.array([square[origin == o].mean() for o in range(params.run.origins)]),
    )


def without_elasticity(engine: str, temperature: float, length: int, origins: int, seed: int) -> Iterator[Row]:
    """An engine against the closed forms of independent sites. Collective."""
    longest = float(np.exp(1.0 / temperature))  # mean life of a site without stress, sweeps
    # the window of the sweep engine may be long: without elasticity nothing waits for its end
    more = ["engine.window=1"] if engine == "sweep" else STRIPS.get(engine, [])
    params = parse(
        f"[model]\ntemperature = {temperature}\nelasticity = false",
        [f"lattice.size=[{length}, {length + 10}]", f"engine.name={engine}", f"run.seed={seed}", f"run.origins={origins}",
         f"run.equilibrate={{time={20 * longest!r}}}", f"run.origin_duration={5 * longest!r}", *more],
    )  # fmt: skip
    sample = measure(params)
    case = f"{engine}, no elasticity, T = {temperature:g}"
    exact = noninteracting.inverse_yield_rate(temperature)
    yield Row(case, "1/Gamma", sample.inverse_rate(), Estimate(exact, 0.0))
    square = 2.0 * quad(lambda s: s**2 * noninteracting.stress_density(s, temperature), 0.0, 1.0, epsrel=1e-6)[0]
    square += 2.0 * quad(lambda s: s**2 * noninteracting.stress_density(s, temperature), 1.0, 60.0, epsrel=1e-6)[0]
    yield Row(case, "<stress^2>", sample.mean_square(), Estimate(square, 0.0))
    curve = noninteracting.persistence(sample.lag, temperature)
    for level in (0.9, 0.5, 0.1):
        k = int(np.argmin(np.abs(curve - level)))
        yield Row(case, f"P({sample.lag[k]:.3g})", sample.persistence_at(k), Estimate(float(curve[k]), 0.0))


def against_each_other(
    engines: dict[str, int], temperature: float, shape: tuple[int, int], seed: int
) -> Iterator[Row]:
    """The engines, each with so many origins, at one state point; the first is the judge of the others. Collective."""
    judge: Sample | None = None
    for engine, origins in engines.items():
        sample = measure(parse(
            f"[model]\ntemperature = {temperature}",
            [f"lattice.size={list(shape)}", f"engine.name={engine}", f"run.seed={seed}", f"run.origins={origins}",
             f"run.stop_persistence={STOP}", *STRIPS.get(engine, [])],
        ))  # fmt: skip
        judge = judge or sample
        unit = judge.inverse_rate().value
        quantities: dict[str, Callable[[Sample], Estimate]] = {
            "1/Gamma": Sample.inverse_rate, "tau_alpha": Sample.tau_alpha, "chi4 peak": Sample.chi4_peak,
            "<stress^2>": Sample.mean_square,
        }  # fmt: skip
        for time in (0.3 * unit, unit, 3.0 * unit):
            quantities[f"P({time:.3g})"] = partial(Sample.persistence_after, time=time)
        for name, estimate in quantities.items():
            expected = None if sample is judge else estimate(judge)
            yield Row(f"{engine}, T = {temperature:g}, {shape[0]} x {shape[1]}", name, estimate(sample), expected)


def temperatures(*, quick: bool) -> tuple[float, ...]:
    """Of all comparisons."""
    return (0.2, 0.1, 0.06) if quick else PAPER_TEMPERATURES


def rows(*, quick: bool, seed: int, only: Sequence[float] = ()) -> Iterator[Row]:
    """All comparisons, or those at some of `temperatures`, one by one as they are finished. Collective."""
    for temperature in only or temperatures(quick=quick):
        for engine in ("event", "sweep", "split"):
            if temperature == (0.2 if quick else 0.1) or (temperature, engine) == (0.03, "event"):
                yield from without_elasticity(engine, temperature, 34, 20 if quick else 25, seed)
        if not quick:
            engines = {"event": 150, "split": 150} | ({"sweep": 60} if temperature >= 0.04 else {})
            yield from against_each_other(engines, temperature, (64, 64), seed)
        elif temperature != 0.2:
            yield from against_each_other({"event": 60, "sweep": 20, "split": 60}, temperature, (48, 40), seed)
