"""How the tracers of one stationary run moved: D(t), S(q, t) and <cos q.dr> at log-spaced times."""

from dataclasses import dataclass

import numpy as np
import xarray

from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.labels import add
from mpiepm.analysis.read import Run, tracer_positions
from mpiepm.analysis.structure_factor import mean_square_displacement_direct, structure_factor
from mpiepm.analysis.tracers import diffusion, log_lags, mean_square_displacement

_WAVES = 12  # wave numbers of S(q, t)
_MOST_VALUES = 2**26  # of all positions, 512 MB: the first tracers stand for the others if there are more


@dataclass(frozen=True)
class Motion:
    """Positions, and D at all lags.

    Attributes
    ----------
    positions : (frame, tracer, 2), lattice constants;  times : (frame,), tau
    lags : (lag,), tau;  diffusion : D(t) (lag,), lattice constants^2 per tau
    """

    positions: np.ndarray
    times: np.ndarray
    lags: np.ndarray
    diffusion: Estimate
    length: int

    @property
    def longest(self) -> Estimate:
        """D at the longest lag."""
        curves = (self.diffusion.value, self.diffusion.error, self.diffusion.correlation)
        return Estimate(*(float(np.broadcast_to(curve, len(self.lags))[-1]) for curve in curves))

    def label(self, result: xarray.Dataset) -> xarray.Dataset:
        """`result` with D, S and the cosine."""
        waves = np.unique(np.geomspace(1, self.length // 2, _WAVES).round().astype(int))
        both = structure_factor(self.positions, self.times, self.lags, waves, self.length)
        result = result.assign_coords(displacement_lag=self.lags, wave_number=both.q)
        result["displacement_lag"].attrs["units"] = "tau"
        result["wave_number"].attrs["units"] = "1/site"
        add(result, "diffusion_curve", ("displacement_lag",), self.diffusion, "site^2/tau")
        for name, blocks in (("displacement_structure_factor", both.square), ("displacement_cosine", both.cosine)):
            add(result, name, ("displacement_lag", "wave_number"), blocks.estimate())
        return result


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
        return Motion(positions, times, lags, diffusion(mean_square_displacement(positions, frames), lags), length)
    lags = times[1:] - times[0]
    return Motion(positions, times, lags, diffusion(mean_square_displacement_direct(positions, times, lags), lags), length)
