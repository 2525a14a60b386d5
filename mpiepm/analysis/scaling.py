"""Finite-size scaling: what depends on the size of the lattice, is it large enough, and do all sizes collapse?

At every temperature successive sizes L < L' are compared: the ratio of their values, the slope d ln y / d ln L between them,
and how many standard errors it is from 0. L is also held against the dynamic correlation length xi_4 of the largest lattice:
where L > 3 xi_4, no size dependence was found in EPM-Q (run/ozawa_biroli_2023). Collapses are those of `analysis.collapse`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray

from mpiepm.analysis import words
from mpiepm.analysis.collapse import Collapse, Points, collapse
from mpiepm.analysis.ensembles import Ensemble
from mpiepm.analysis.errors import WELL_SAMPLED, Estimate
from mpiepm.analysis.origins import OriginsPoint
from mpiepm.models.base import models

DIFFERENT, DOUBTFUL = 3.0, 2.0  # standard errors
LENGTHS = 3.0  # xi_4 that a lattice should hold
FEWEST_TEMPERATURES, FEWEST_POINTS = 4, 12  # of a collapse


@dataclass(frozen=True)
class Step:
    """From one size to the next, at one temperature.

    Attributes
    ----------
    length, larger : L and L', sites (L' is NaN at the largest size);  lengths : L / xi_4
    ratio : y(L') / y(L);  slope : d ln y / d ln L;  deviation : ln(ratio) in standard errors
    """

    temperature: float
    length: float
    larger: float
    ratio: Estimate
    slope: Estimate
    deviation: float
    lengths: float

    @property
    def verdict(self) -> str:
        """Is L large enough, by this step and by xi_4?"""
        short = "" if not self.lengths < LENGTHS else f", L < {LENGTHS:g} xi_4"
        if abs(self.deviation) > DIFFERENT:
            return "too small"
        if abs(self.deviation) > DOUBTFUL:
            return f"doubtful{short}"
        if np.isfinite(self.deviation):
            hidden = float(f"{200 * self.ratio.error / self.ratio.value:.2g}")
            return f"agrees within {hidden:g} %{short}"
        return f"largest{short}" if not np.isfinite(self.larger) else f"unknown{short}"


def families(ensembles: Sequence[Ensemble]) -> dict[str, list[Ensemble]]:
    """Ensembles of one model at different T and L, by name of the model and what of it is not the default.

    Of several at one T and L, which differ in how they were run, the one with most origins is taken.
    """
    groups: dict[str, dict[tuple[float, int], Ensemble]] = {}
    for e in ensembles:
        model, defaults = e.params["model"], _defaults(e.params["model"])
        changed = [f"{key} = {value}" for key, value in model.items() if value != defaults.get(key)]
        group = groups.setdefault(", ".join([model["name"], *changed]), {})
        place = (e.temperature, e.sites)
        if place not in group or group[place].origins < e.origins:
            group[place] = e
    return {name: list(group.values()) for name, group in groups.items()}


def _defaults(model: dict[str, Any]) -> dict[str, Any]:
    """Of the keys of a model, with the temperature of this one."""
    kind = models()[model["name"]]
    return kind.model_validate({"temperature": model["temperature"]}).model_dump()


def size_table(family: Sequence[Ensemble]) -> xarray.Dataset:
    """Numbers of all state points with a coordinate `length`, L = sqrt(N), from hot to cold, and small to large.

    The cut-offs of avalanches are a variable for each criterion, "avalanche_cutoff, gap = 1".
    """
    tables = []
    for e in family:
        table = OriginsPoint(e).scalars().assign_coords(length=("state", [float(np.sqrt(e.sites))]))
        for criterion in table.criterion.values.tolist() if "criterion" in table.dims else []:
            for suffix in ("", "_error", "_correlation"):
                column = table[f"avalanche_cutoff{suffix}"].sel(criterion=criterion, drop=True)
                table[f"avalanche_cutoff, {criterion}{suffix}"] = column
        tables.append(table.drop_dims("criterion", errors="ignore"))
    joined = xarray.concat(tables, "state", data_vars="all", join="outer", combine_attrs="drop_conflicts")
    return with_borrowed_correlations(joined.isel(state=np.lexsort([joined.length.values, -joined.temperature.values])))


def with_borrowed_correlations(table: xarray.Dataset) -> xarray.Dataset:
    """Where there are too few origins to know tau, errors as with the tau of the best sampled state at that temperature.

    How long origins remember each other hardly depends on the size. A variance over n of them, as chi4 is, misses the share
    (tau - 1) / (n - 1), which is put back; where that is more than half of it the value is NaN. Nor can its error be told from
    a few: it is at least that of the variance of Gaussian values, sqrt(2 tau / (n - 1)) of it.
    """
    table = table.copy(deep=True)
    origins = table.origins.values
    for name in measured(table):
        value, error, tau = (table[f"{name}{suffix}"].values for suffix in ("", "_error", "_correlation"))
        for temperature in np.unique(table.temperature.values):
            here = np.flatnonzero((table.temperature.values == temperature) & np.isfinite(tau))
            if not here.size:
                continue
            lender = here[np.argmax(origins[here] / tau[here])]
            for k in here[origins[here] < WELL_SAMPLED * tau[here]]:
                longer = max(1.0, tau[lender] / tau[k])
                error[k], tau[k] = error[k] * np.sqrt(longer), tau[k] * longer
                if name == "chi4_peak":
                    missed = (tau[k] - 1.0) / (origins[k] - 1) if origins[k] > 1 else np.nan
                    share = 1.0 - missed if missed < 0.5 else np.nan
                    value[k], error[k] = value[k] / share, error[k] / share
                    error[k] = max(error[k], value[k] * np.sqrt(2.0 * tau[k] / max(origins[k] - 1, 1)))
    return table


def notes(table: xarray.Dataset, family: Sequence[Ensemble], labels: Mapping[str, str]) -> list[str]:
    """A line for each number of a table of `size_table` without value or error, and for each state of unfinished runs.

    labels : names of the numbers that are shown, and what they are called there
    """
    lines = []
    for e in family:
        (state,) = np.flatnonzero((table.temperature.values == e.temperature) & (table.length.values == np.sqrt(e.sites)))
        where = f"T = {e.temperature:g}, L = {np.sqrt(e.sites):g}"
        if e.unfinished:
            lines.append(f"{where}: {e.unfinished}")
        for name, label in labels.items():
            if name in table:
                estimate = Estimate(float(table[name].values[state]), float(table[f"{name}_error"].values[state]))
                if why := words.why_unknown(e, name, estimate):
                    lines.append(f"{where}: {label}: {why}")
    return lines


def measured(table: xarray.Dataset) -> list[str]:
    """Names of the estimates in a table that may depend on the size."""
    names = ("chi4_peak", "tau_alpha", "xi4", "second_moment_length", "inverse_yield_rate", "mean_cluster_size")
    return [*(name for name in names if name in table), *cutoffs(table)]


def cutoffs(table: xarray.Dataset) -> list[str]:
    """Names of the cut-offs of avalanches, one for each criterion."""
    return [str(n) for n in table if str(n).startswith("avalanche_cutoff, ") and f"{n}_error" in table]


def points(table: xarray.Dataset, name: str) -> Points:
    """What a collapse is made from; extremal dynamics (T = 0) has no place in it."""
    warm = table.isel(state=table.temperature.values > 0.0)
    columns = (warm.length, warm.temperature, warm[name], warm[f"{name}_error"])
    return Points(*(column.values.astype(float) for column in columns)).usable()


def steps(table: xarray.Dataset, name: str) -> list[Step]:
    """From every size to the next at every temperature; the largest stands alone. T = 0 has another unit of time: not there."""
    found = []
    for temperature in np.unique(table.temperature.values[table.temperature.values > 0.0])[::-1]:
        here = table.isel(state=table.temperature.values == temperature)
        lengths, values, errors = here.length.values, here[name].values, here[f"{name}_error"].values
        known = here.isel(state=np.isfinite(here.xi4_error.values)) if "xi4" in here else here.isel(state=[])
        longest = float(known.xi4[-1] + known.xi4_error[-1]) if known.sizes["state"] else float("nan")
        for k, length in enumerate(lengths):
            after = slice(k, k + 2)
            found.append(_step(float(temperature), lengths[after], values[after], errors[after], float(length) / longest))
    return found


def _step(temperature: float, lengths: np.ndarray, values: np.ndarray, errors: np.ndarray, in_xi: float) -> Step:
    nothing = Estimate(float("nan"), float("nan"))
    if len(lengths) < 2:
        return Step(temperature, float(lengths[0]), float("nan"), nothing, nothing, float("nan"), in_xi)
    length, larger = map(float, lengths)
    ratio = ratio_of(Estimate(values[0], errors[0]), Estimate(values[1], errors[1]))
    if not ratio.error > 0.0:  # unknown, or without any scatter
        return Step(temperature, length, larger, ratio, nothing, float("nan"), in_xi)
    factor, logarithm, error = np.log(larger / length), np.log(ratio.value), ratio.error / ratio.value
    return Step(temperature, length, larger, ratio, Estimate(logarithm / factor, error / factor), logarithm / error, in_xi)


def ratio_of(y: Estimate, larger: Estimate) -> Estimate:
    """Of the second to the first; NaN where one of them is not positive."""
    if not (y.value > 0.0 and larger.value > 0.0):
        return Estimate(float("nan"), float("nan"))
    ratio = float(larger.value / y.value)
    return Estimate(ratio, ratio * float(np.hypot(y.error / y.value, larger.error / larger.value)))


def sufficient(table: xarray.Dataset, name: str) -> dict[float, float]:
    """At each temperature the smallest size from which on no step differs and L >= 3 xi_4; NaN if none is known to do.

    The largest size is compared with the one before it: a temperature with one size has no answer.
    """
    everything = steps(table, name)
    enough = {step.temperature: float("nan") for step in everything}
    for temperature in enough:
        for step in reversed([s for s in everything if s.temperature == temperature and np.isfinite(s.larger)]):
            if not abs(step.deviation) <= DOUBTFUL:
                break
            for length in (step.larger, step.length):
                if length * step.lengths / step.length >= LENGTHS:
                    enough[temperature] = length
    return enough


def collapses(table: xarray.Dataset, replicas: int = 200) -> dict[str, Collapse]:
    """Of chi4 peak, correlation length over L, clusters and avalanches, those that can be tried."""
    found = {}
    for name in ("chi4_peak", "second_moment_length", "mean_cluster_size", *cutoffs(table)):
        is_length = name == "second_moment_length"
        if name in table and (best := widest_collapse(points(table, name), is_length, replicas)) is not None:
            found[name] = best
    return found


def widest_collapse(data: Points, is_length: bool = False, replicas: int = 200) -> Collapse | None:
    """Collapse over as many temperatures, from the lowest up, as hold one; over the coldest four if none does.

    Towards T = 0 corrections to scaling vanish, so the hottest are left out first. Of a length a = 1. None: cannot be tried.
    """
    free, given = (("inverse_nu",), {"a": 1.0}) if is_length else (("a", "inverse_nu"), {})
    tried = None
    for hottest in np.unique(data.temperature)[::-1]:
        kept = data.where(data.temperature <= hottest)
        enough = len(np.unique(kept.temperature)) >= FEWEST_TEMPERATURES and len(kept.value) >= FEWEST_POINTS
        if not enough or len(np.unique(kept.length)) < 2:
            break
        tried = kept
        if collapse(kept, free, given, replicas=0).holds:
            break
    return None if tried is None else collapse(tried, free, given, replicas)
