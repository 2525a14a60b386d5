"""The runs of the study, read: activities, trajectories, waiting times."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mpiepm.analysis import waiting
from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.read import Run, open_archive, read
from mpiepm.analysis.stationary import mean_over_time
from mpiepm.analysis.structure_factor import StructureFactor, structure_factor
from mpiepm.analysis.tracers import displacement_rates, log_lags

# the three regimes of S(q, t): temperature, window of times (tau), window of wave numbers
WINDOWS = {
    "I": (0.2, (0.2, 2.0), (1.0, 5.0)),
    "II": (0.07, (10.0, 1000.0), (0.8, 6.3)),
    "III": (0.2, (20.0, 120.0), (0.1, 0.4)),
}


@dataclass(frozen=True)
class State:
    """One run: thermal at a temperature, or random at an activity."""

    run: Run

    @property
    def label(self) -> str:
        """T = ... or a = ..."""
        model = self.run.params["model"]
        return f"$T$ = {model['temperature']:g}" if self.thermal else f"random, $a$ = {model['activity']:g}"

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

    @cached_property
    def activity(self) -> Estimate:
        """a = <|n|>."""
        return mean_over_time(self.run, "activity")

    @cached_property
    def positions(self) -> np.ndarray:
        """Unwrapped (frame, tracer, 2)."""
        with open_archive(self.run.folder) as file:
            values: np.ndarray = file["tracers/position"][:]
            return values

    @property
    def interval(self) -> float:
        """tau between frames."""
        return float(self.run.params["tracers"]["interval"])

    @property
    def times(self) -> np.ndarray:
        """Of the frames."""
        return self.interval * np.arange(len(self.positions))

    @cached_property
    def lags(self) -> np.ndarray:
        """Log-spaced lags in frames, up to a third of the run."""
        return log_lags(len(self.positions))

    @property
    def waiting_times(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the bins, tau, and psi by the product limit, where it is known."""
        edges, complete, cut = (self.run.data[f"waiting_times/{name}"] for name in ("edges", "exchange", "open"))
        psi = waiting.product_limit(edges, complete, cut).value
        return waiting.centres(edges)[psi > 0], psi[psi > 0]

    @property
    def rates(self) -> np.ndarray:
        """Displacements per unit time, over one tau or one frame if that is longer: (frame, tracer, 2)."""
        frames = max(1, round(1.0 / self.interval))
        return displacement_rates(self.positions, frames, frames * self.interval)

    def structure(self, window: tuple[float, float], q_window: tuple[float, float]) -> StructureFactor:
        """S(q, t) in a window of times, tau, and of wave numbers, 2 pi k / L."""
        lags = self.lags[(self.lags * self.interval >= window[0]) & (self.lags * self.interval <= window[1])] * self.interval
        first = 2 * np.pi / self.length
        k = np.unique(np.geomspace(max(q_window[0] / first, 1), q_window[1] / first, 12).round().astype(int))
        return structure_factor(self.positions, self.times, lags, k, self.length)


def states(runs: Path, series: tuple[str, ...] = ("thermal", "random")) -> list[State]:
    """The finished runs of some series, thermal from hot to cold, then random from busy to quiet."""
    found = [State(read(path.parent)) for name in series for path in runs.glob(f"{name}/*/*/archive.h5")]
    return sorted(found, key=lambda s: (not s.thermal, -s.temperature, -s.run.params["model"].get("activity", 0.0)))


def pick(found: list[State], temperature: float) -> State:
    """The thermal run at a temperature.

    Raises
    ------
    SystemExit : if there is none
    """
    for state in found:
        if state.thermal and abs(state.temperature - temperature) < 1e-9:
            return state
    raise SystemExit(f"no finished run at T = {temperature:g}")
