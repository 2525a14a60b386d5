"""How the tracers of one stationary run moved: D(t), S(q, t) and <cos q.dr> at log-spaced times."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray

from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.labels import add
from mpiepm.analysis.read import Run, tracer_positions
from mpiepm.analysis.structure_factor import mean_square_displacement_direct, structure_factor
from mpiepm.analysis.tracers import Blocks, diffusion, log_lags, mean_square_displacement

DIFFUSION_UNITS = "site^2/tau"
_WAVES = 12  # wave numbers of S(q, t)
_MOST_VALUES = 2**26  # of all positions, 512 MB: the first tracers stand for the others if there are more


@dataclass(frozen=True)
class Motion:
    """Positions, and their mean square displacement at all lags.

    Attributes
    ----------
    positions : (frame, tracer, 2), lattice constants;  times : (frame,), tau
    lags : (lag,), tau;  squares : <|dr|^2> (block, lag), lattice constants^2
    """

    positions: np.ndarray
    times: np.ndarray
    lags: np.ndarray
    squares: Blocks
    length: int

    @cached_property
    def diffusion(self) -> Estimate:
        """D(t) (lag,), lattice constants^2 per tau."""
        return diffusion(self.squares, self.lags)

    @property
    def longest(self) -> Estimate:
        """D at the longest lag."""
        return self._at(-1)

    def table(self) -> list[tuple[str, str]]:
        """D at up to three lags, a factor of two apart, and whether it still changes at the longest."""
        wanted = self.lags[-1] * 0.5 ** np.arange(3)
        chosen = sorted({int(np.argmin(np.abs(np.log(self.lags / lag)))) for lag in wanted})
        rows = [(f"D(t = {self.lags[k]:.4g} tau)", f"{self._at(k)} {DIFFUSION_UNITS}") for k in chosen]
        return [*rows, ("D(t) at the end", self._trend(*chosen[-2:]))] if len(chosen) > 1 else rows

    def _trend(self, early: int, late: int) -> str:
        """Whether D changes between two lags, in words."""
        stretch = self.lags[late] / self.lags[early]
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing has moved
            ratio = self.squares.estimate(lambda mean: float(mean[late] / mean[early] / stretch), np.array([early, late]))
        return in_percent(ratio, f"over the last factor of {stretch:.2g} in t")

    def _at(self, k: int) -> Estimate:
        curves = (self.diffusion.value, self.diffusion.error, self.diffusion.correlation)
        return Estimate(*(float(np.broadcast_to(curve, len(self.lags))[k]) for curve in curves))

    def label(self, result: xarray.Dataset) -> xarray.Dataset:
        """`result` with D, S and the cosine."""
        waves = np.unique(np.geomspace(1, self.length // 2, _WAVES).round().astype(int))
        both = structure_factor(self.positions, self.times, self.lags, waves, self.length)
        result = result.assign_coords(displacement_lag=self.lags, wave_number=both.q)
        result["displacement_lag"].attrs["units"] = "tau"
        result["wave_number"].attrs["units"] = "1/site"
        add(result, "diffusion_curve", ("displacement_lag",), self.diffusion, DIFFUSION_UNITS)
        for name, blocks in (("displacement_structure_factor", both.square), ("displacement_cosine", both.cosine)):
            add(result, name, ("displacement_lag", "wave_number"), blocks.estimate())
        return result


def in_percent(ratio: Estimate, over: str) -> str:
    """What a ratio of D at a lag to D at a shorter one says: "still falls: -15 +- 3 % ..." if that is two standard errors."""
    change, error = 100.0 * (ratio.value - 1.0), 100.0 * float(ratio.error)
    if not np.isfinite(change):
        return f"not known {over}"
    if not np.isfinite(error):
        return f"{change:+.2g} % {over} (no error)"
    verdict = "no change within errors" if abs(change) <= 2.0 * error else f"still {'falls' if change < 0.0 else 'rises'}"
    return f"{verdict}: {change:+.2g} +- {error:.2g} % {over}"


def motion(run: Run) -> Motion | None:
    """The motion, if there are tracers and more than one frame of them.

    Frames at equal distances give all lags up to a third of the run; log-spaced ones just the times since the first.
    """
    times = run.data.get("tracers/time", np.empty(0))
    if len(times) < 2:
        return None
    positions, length = tracer_positions(run, _MOST_VALUES // (2 * len(times))), max(run.params["lattice"]["size"])
    steps = np.diff(times)
    if len(times) >= 6 and np.allclose(steps, steps[0]):
        frames = log_lags(len(times))
        lags = frames * float(steps.mean())
        return Motion(positions, times, lags, mean_square_displacement(positions, frames), length)
    lags = times[1:] - times[0]
    return Motion(positions, times, lags, mean_square_displacement_direct(positions, times, lags), length)
