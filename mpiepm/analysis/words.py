"""What is missing from a number, and how far its error can be trusted, in words: the same wherever numbers are printed."""

import math
from collections.abc import Sequence

import numpy as np

from mpiepm.analysis import estimators
from mpiepm.analysis.ensembles import Ensemble
from mpiepm.analysis.errors import FEWEST, WELL_SAMPLED, Estimate, in_words, known
from mpiepm.analysis.read import Run
from mpiepm.core.amounts import number_of
from mpiepm.models.parameters import from_values
from mpiepm.observe.snapshots import not_reached

UNFINISHED = "as of the newest checkpoint; what was recorded later is not there"
_CURVES = {"tau_alpha": "P", "tau_stress": "C_s", "tau_plastic": "C_p"}
_AT_TAU_ALPHA = ("xi4", "second_moment_length", "mean_cluster_size")
_AIM = 0.1  # relative error of chi4 to which the number of origins is extrapolated


def block(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title, and labels with their values below it."""
    width = max(len(label) for label, _ in rows)
    return "\n".join([title, *(f"  {label:{width}s}  {value}" for label, value in rows)])


def events(total: int, counted: int, overlap: int = 1) -> str:
    """How many there were in all, and how many of them the yield rate counts."""
    if overlap == 1:
        return f"{total}, of which {counted} after equilibration: those that the yield rate counts"
    return f"{total}, of which the yield rate counts {counted}: neither equilibration nor the end, where no new origin begins"


def why_unknown(e: Ensemble, name: str, estimate: Estimate) -> str:
    """Why the estimate `name` has no value or no error; "" if it has both."""
    value, error = float(estimate.value), float(estimate.error)
    if math.isnan(value):
        return _why_no_value(e, name)
    if name == "inverse_yield_rate" and not e.data["origins/events"].any():
        return "no event after equilibration: a lower bound"
    if math.isnan(error):
        return "one origin: no error" if e.origins == 1 else "no error: without one of the origins there is no value"
    return ""


def _why_no_value(e: Ensemble, name: str) -> str:
    if name in _CURVES:
        return f"the record ends before {_CURVES[name]} falls to 1/2"
    if e.origins == 1 and name in ("chi4_peak", "xi4", "second_moment_length"):
        return "one origin: chi4 needs at least two"
    if name == "chi4_peak":
        if int(np.argmax(estimators.chi4(e.persistence, e.sites))) == len(e.lag) - 1:
            return "the record ends before the peak"
        return "too few origins: their autocorrelation hides more than half of chi4"
    if name in _AT_TAU_ALPHA:
        tau = estimators.relaxation_time(e.lag, e.persistence)
        if math.isnan(tau):
            return "tau_alpha is not known: the record ends before P falls to 1/2"
        lag = e.data["clusters/lag" if name == "mean_cluster_size" else "four_point/lag"]
        if not (len(lag) and lag[0] < tau <= lag[-1]):
            return "tau_alpha lies outside the lags of the maps"
        return "S4 does not fall with q" if name != "mean_cluster_size" else "no cluster at tau_alpha"
    return "no data"


def number(e: Ensemble, name: str, estimate: Estimate, unit: str = "") -> str:
    """Value, error and unit; or what is missing."""
    why = why_unknown(e, name, estimate)
    value = float(estimate.value)
    if math.isnan(value):
        return f"not known: {why}"
    said = f"{value:.5g}" if why else in_words(value, float(estimate.error))
    said = f"{said} {unit}" if unit else said
    return f"{said} ({why})" if why else said


def autocorrelation(tau: Estimate, origins: int) -> str:
    """The autocorrelation time of P from origin to origin, by the estimate of tau_alpha, and what follows for the errors."""
    if origins == 1:
        return "not known: one origin"
    if math.isnan(float(tau.error)):
        return "not known, as the error of tau_alpha is not"
    wanted = math.ceil(WELL_SAMPLED * float(tau.correlation))
    bound = f"errors are lower bounds: {number_of(origins, 'origin')}, at least {wanted} wanted"
    if origins < FEWEST:
        return f"not known from fewer than {FEWEST} origins; {bound}"
    time = f"{float(tau.correlation):.1f} origins"
    return f"{time}; errors account for it" if known(tau, origins) else f"at least {time}; {bound}"


def chi4_effort(peak: Estimate, origins: int) -> str:
    """How many origins would give the chi4 peak to 10 %, from its error now; "" if that is reached or cannot be told.

    The error is at least that of the variance of `origins` Gaussian values, sqrt(2 tau / (origins - 1)) of it.
    """
    value, error = float(peak.value), float(peak.error)
    if not (value > 0.0 and error >= 0.0):
        return ""
    relative = max(error / value, math.sqrt(2.0 * float(peak.correlation) / (origins - 1)))
    if relative <= _AIM:
        return ""
    needed = origins * (relative / _AIM) ** 2
    unit = 10.0 ** max(0, math.floor(math.log10(needed)) - 1)
    return f"for {100 * _AIM:.0f} % take about {math.ceil(needed / unit) * unit:.0f} origins"


def snapshots(run: Run) -> list[str]:
    """A line for each lag of output.snapshots that not all origins reached of which it was asked; none while a run goes on."""
    if run.done:
        return []
    output, time = run.params["output"], from_values(run.params).units.time
    durations = run.data["origins/duration"][: output.get("snapshot_origins", 1)]
    return not_reached(output["snapshots"], durations.tolist(), time)
