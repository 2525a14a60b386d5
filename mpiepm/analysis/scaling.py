"""Finite-size scaling: what depends on the size of the lattice, is it large enough, and do all sizes collapse?

At every temperature successive sizes L < L' are compared: the ratio of their values, the slope d ln y / d ln L between them,
and how many standard errors it is from 0. L is also held against the dynamic correlation length xi_4 of the largest lattice:
where L > 3 xi_4, no size dependence was found in EPM-Q (run/ozawa_biroli_2023). Collapses are those of `analysis.collapse`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray

from mpiepm.analysis.collapse import Collapse, Points, collapse
from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.origins import OriginsPoint
from mpiepm.analysis.read import Ensemble
from mpiepm.core.params import ParameterError
from mpiepm.core.sections import Epmq

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
        model, defaults = e.params["model"], Epmq(temperature=e.temperature).model_dump()
        changed = [f"{key} = {value}" for key, value in model.items() if value != defaults.get(key)]
        group = groups.setdefault(", ".join([model["name"], *changed]), {})
        place = (e.temperature, e.sites)
        if place not in group or group[place].origins < e.origins:
            group[place] = e
    return {name: list(group.values()) for name, group in groups.items()}


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
    joined = xarray.concat(tables, "state", data_vars="all", join="outer")
    return joined.isel(state=np.lexsort([joined.length.values, -joined.temperature.values]))


def measured(table: xarray.Dataset) -> list[str]:
    """Names of the estimates in a table that may depend on the size."""
    names = ("chi4_peak", "tau_alpha", "xi4", "inverse_yield_rate", "mean_cluster_size")
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
    """From every size to the next at every temperature; the largest stands alone."""
    found = []
    for temperature in np.unique(table.temperature.values)[::-1]:
        here = table.isel(state=table.temperature.values == temperature)
        lengths, values, errors = here.length.values, here[name].values, here[f"{name}_error"].values
        xi = here.xi4.values[np.isfinite(here.xi4.values)][-1:] if "xi4" in here else []
        longest = float(xi[0]) if len(xi) else float("nan")
        for k, length in enumerate(lengths):
            after = slice(k, k + 2)
            found.append(_step(float(temperature), lengths[after], values[after], errors[after], float(length) / longest))
    return found


def _step(temperature: float, lengths: np.ndarray, values: np.ndarray, errors: np.ndarray, in_xi: float) -> Step:
    nothing = Estimate(float("nan"), float("nan"))
    if len(lengths) < 2:
        return Step(temperature, float(lengths[0]), float("nan"), nothing, nothing, float("nan"), in_xi)
    ratio, error = float(values[1] / values[0]), float(np.hypot(*(errors / values)))
    factor = float(np.log(lengths[1] / lengths[0]))
    slope = Estimate(float(np.log(ratio)) / factor, error / factor)
    length, larger = map(float, lengths)
    return Step(temperature, length, larger, Estimate(ratio, ratio * error), slope, float(np.log(ratio)) / error, in_xi)


def sufficient(table: xarray.Dataset, name: str) -> dict[float, float]:
    """At each temperature the smallest size from which on no step differs and L >= 3 xi_4; NaN if none is known to do."""
    enough: dict[float, float] = {}
    for step in reversed(steps(table, name)):
        best = enough.setdefault(step.temperature, float("nan"))
        alone = not np.isfinite(step.larger)
        fits = step.lengths >= LENGTHS and (alone or abs(step.deviation) <= DOUBTFUL)
        if fits and (alone or best == step.larger):
            enough[step.temperature] = step.length
    return dict(reversed(enough.items()))


def collapses(table: xarray.Dataset, replicas: int = 200) -> dict[str, Collapse]:
    """Of chi4 peak, xi_4 / L, clusters and avalanches, those that can be tried."""
    found = {}
    for name in ("chi4_peak", "xi4", "mean_cluster_size", *cutoffs(table)):
        if name in table and (best := widest_collapse(points(table, name), name == "xi4", replicas)) is not None:
            found[name] = best
    return found


def widest_collapse(data: Points, is_length: bool = False, replicas: int = 200) -> Collapse | None:
    """Collapse over as many temperatures, from the lowest up, as hold one; over the coldest four if none does.

    Towards T = 0 corrections to scaling vanish, so the hottest are left out first. Of a length a = 1. None: cannot be tried.
    """
    free, given = (("inverse_nu",), {"a": 1.0}) if is_length else (("a", "inverse_nu"), {})
    best = None
    for hottest in np.unique(data.temperature)[::-1]:
        kept = data.temperature <= hottest
        if len(np.unique(data.temperature[kept])) < FEWEST_TEMPERATURES or kept.sum() < FEWEST_POINTS:
            break
        try:
            best = collapse(data.where(kept), free, given, replicas)
        except ParameterError:
            break
        if best.holds:
            break
    return best
