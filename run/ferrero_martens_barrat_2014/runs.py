"""The runs of the study, read: activities, trajectories, waiting times. Runs that differ only in their seed are one state."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mpiepm.analysis import tracers, waiting
from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.read import Run, open_archive, read
from mpiepm.analysis.stationary import mean_over_time
from mpiepm.analysis.structure_factor import StructureFactor, structure_factor
from mpiepm.analysis.tracers import Blocks, displacement_rates, join, log_lags

SERIES = ("thermal", "large", "random")
# the three regimes of S(q, t): temperature, window of times (tau), window of wave numbers
WINDOWS = {
    "I": (0.2, (0.2, 2.0), (1.0, 5.0)),
    "II": (0.07, (10.0, 1000.0), (0.8, 6.3)),
    "III": (0.2, (20.0, 120.0), (0.1, 0.4)),
}
SPEEDS = np.geomspace(1e-5, 10, 97)  # edges of the bins of |u|


@dataclass(frozen=True)
class State:
    """Runs with different seeds, thermal at a temperature or random at an activity."""

    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        """The first."""
        return self.runs[0]

    @property
    def label(self) -> str:
        """T = ... or a = ..., and L unless it is 256."""
        model = self.run.params["model"]
        name = f"$T$ = {model['temperature']:g}" if self.thermal else f"random, $a$ = {model['activity']:g}"
        return f"{name}, $L$ = 512" if self.length == 512 else name

    @property
    def thermal(self) -> bool:
        """Is stress what activates?"""
        return bool(self.run.params["model"]["activation"] == "thermal")

    @property
    def temperature(self) -> float:
        """T; 0 for the random model."""
        return float(self.run.params["model"].get("temperature", 0.0))

    @property
    def length(self) -> int:
        """L."""
        return int(self.run.params["lattice"]["size"][0])

    def mean(self, name: str) -> Estimate:
        """Mean of series/`name` over time and runs."""
        found = [mean_over_time(run, name) for run in self.runs]
        error = np.sqrt(sum(e.error**2 for e in found)) / len(found)
        return Estimate(float(np.mean([e.value for e in found])), float(error))

    @cached_property
    def activity(self) -> Estimate:
        """a = <|n|>."""
        return self.mean("activity")

    @property
    def positions(self) -> np.ndarray:
        """Unwrapped, of the first run: (frame, tracer, 2)."""
        return _positions(self.run)

    def pooled(self, estimator: Callable[[np.ndarray], Blocks]) -> Blocks:
        """`estimator(positions)` of all runs together."""
        return join([estimator(_positions(run)) for run in self.runs])

    @property
    def interval(self) -> float:
        """tau between frames."""
        return float(self.run.params["tracers"]["interval"])

    @property
    def lags(self) -> np.ndarray:
        """Log-spaced lags in frames, up to a third of the run."""
        return log_lags(len(self.run.data["tracers/time"]))

    @property
    def waiting_times(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the bins, tau, and psi by the product limit, where it is known."""
        edges = self.run.data["waiting_times/edges"]
        psi = waiting.product_limit(edges, self.counts("exchange"), self.counts("open")).value
        return waiting.centres(edges)[psi > 0], psi[psi > 0]

    def counts(self, name: str) -> np.ndarray:
        """Counts of waiting times (run, bin)."""
        return np.concatenate([run.data[f"waiting_times/{name}"] for run in self.runs])

    @property
    def rate_frames(self) -> int:
        """Frames over which displacement rates are taken: one tau, or one frame if that is longer."""
        return max(1, round(1.0 / self.interval))

    def rates(self, positions: np.ndarray) -> np.ndarray:
        """Displacements per unit time (frame, tracer, 2)."""
        return displacement_rates(positions, self.rate_frames, self.rate_frames * self.interval)

    def structure(self, window: tuple[float, float], q_window: tuple[float, float]) -> StructureFactor:
        """S(q, t) in a window of times, tau, and of wave numbers, 2 pi k / L."""
        lags = self.lags[(self.lags * self.interval >= window[0]) & (self.lags * self.interval <= window[1])] * self.interval
        first = 2 * np.pi / self.length
        k = np.unique(np.geomspace(max(q_window[0] / first, 1), q_window[1] / first, 12).round().astype(int))
        times = self.interval * np.arange(len(self.run.data["tracers/time"]))
        parts = [structure_factor(_positions(run), times, lags, k, self.length) for run in self.runs]
        return StructureFactor(lags, parts[0].q, *(join([getattr(p, name) for p in parts]) for name in ("square", "cosine")))


def speeds(state: State) -> Blocks:
    """P(u) of the displacement rates, in the bins SPEEDS."""
    return state.pooled(lambda positions: tracers.speeds(state.rates(positions), SPEEDS))


def displacement_correlation(state: State) -> tuple[np.ndarray, Estimate]:
    """Lags, tau, and C_u there, up to 20 tau or 20 frames, if displacement rates over one do not overlap at the next."""
    step = state.rate_frames
    lags = np.arange(0, min(20 * step, len(state.run.data["tracers/time"]) // 3), step)
    blocks = state.pooled(lambda positions: tracers.displacement_correlation(state.rates(positions), lags))
    return lags * state.interval, tracers.normalised(blocks)


def _positions(run: Run) -> np.ndarray:
    with open_archive(run.folder) as file:
        values: np.ndarray = file["tracers/position"][:]
        return values


def states(runs: Path, series: tuple[str, ...] = SERIES) -> list[State]:
    """The finished runs of some series, thermal from hot to cold and small to large, then random from busy to quiet."""
    folders = sorted({path.parents[1] for name in series for path in runs.glob(f"{name}/*/*/archive.h5")})
    found = [State(tuple(read(path.parent) for path in sorted(folder.glob("*/archive.h5")))) for folder in folders]
    return sorted(found, key=lambda s: (not s.thermal, -s.temperature, s.length, -s.run.params["model"].get("activity", 0.0)))


def pick(found: list[State], temperature: float) -> State:
    """The thermal state at a temperature, on the smallest lattice there is.

    Raises
    ------
    SystemExit : if there is none
    """
    for state in found:
        if state.thermal and abs(state.temperature - temperature) < 1e-9:
            return state
    raise SystemExit(f"no finished run at T = {temperature:g}")
