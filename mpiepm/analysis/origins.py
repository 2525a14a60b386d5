"""What the origins of an ensemble tell: numbers, curves, maps and distributions, each with its error over the origins."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import xarray

from mpiepm.analysis import estimators, words
from mpiepm.analysis.ensembles import Ensemble
from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.labels import add
from mpiepm.core.amounts import number_of

# units as in `core.units.Units.of`; a length is in units of the lattice constant, "site", a number of sites in "sites"
_NUMBERS: dict[str, tuple[str, str, Callable[[Ensemble], Estimate]]] = {  # name: needs, units, estimator
    "tau_alpha": ("persistence/value", "{time}", estimators.tau_alpha),
    "tau_stress": ("correlations/stress_product", "{time}", estimators.tau_stress),
    "tau_plastic": ("correlations/plastic", "{time}", estimators.tau_plastic),
    "inverse_yield_rate": ("origins/events", "{time}", estimators.inverse_yield_rate),
    "chi4_peak": ("persistence/value", "1", estimators.chi4_peak),
    "xi4": ("four_point/structure_factor", "site", estimators.xi4),
    "second_moment_length": ("four_point/structure_factor", "site", estimators.second_moment_length),
    "mean_cluster_size": ("clusters/mean_size", "sites", estimators.mean_cluster_size),
    "stress_variance": ("histograms/stress/counts", "{stress}^2", estimators.stress_variance),
}
# a bin is named by its lower edge
_DISTRIBUTIONS: dict[str, list[tuple[str, tuple[str, ...], str]]] = {
    "four_point": [("structure_factor", ("map_lag", "shell"), "1")],
    "clusters": [("number", ("map_lag", "cluster_size"), "1"), ("mean_size", ("map_lag",), "sites"),
                 ("largest", ("map_lag",), "sites")],
    "waiting_times": [("exchange", ("exchange_time",), "1")],
    "avalanches": [("number", ("criterion", "avalanche_size"), "1"), ("duration", ("criterion", "avalanche_size"), "{time}"),
                   ("extent", ("criterion", "avalanche_size"), "site"), ("moments", ("criterion", "power"), "1")],
}  # fmt: skip
_SOURCES = {"map_lag": "lag", "shell": "wave_number"}  # of a coordinate; the others are bins, with edges
_COORDINATE_UNITS = {"map_lag": "{time}", "shell": "1/site", "cluster_size": "sites", "exchange_time": "{time}",
                     "avalanche_size": "events"}  # fmt: skip


@dataclass(frozen=True)
class OriginsPoint:
    """One state point of EPM-Q."""

    ensemble: Ensemble

    @cached_property
    def numbers(self) -> dict[str, Estimate]:
        """Estimates that are single numbers, as far as the archives have what they need."""
        return {name: f(self.ensemble) for name, (needed, _, f) in _NUMBERS.items() if needed in self.ensemble.data}

    def table(self) -> str:
        """A block of lines, for the screen."""
        e, numbers = self.ensemble, self.numbers
        seconds, total = sum(run.seconds for run in e.runs), sum(run.events for run in e.runs)
        inverse, tau, peak = numbers["inverse_yield_rate"], numbers["tau_alpha"], numbers["chi4_peak"]
        rate = Estimate(1.0 / inverse.value, inverse.error / inverse.value**2)
        time, counted = e.units.time, int(e.data["origins/events"].sum())
        rows = [("unfinished", words.UNFINISHED)] if e.unfinished else []
        rows.append(("tau_alpha", words.number(e, "tau_alpha", tau, time)))
        if "tau_stress" in numbers:
            rows.append(("tau_alpha by C_s", words.number(e, "tau_stress", numbers["tau_stress"], time)))
        effort = words.chi4_effort(peak, e.origins)
        rows.append(("chi4 peak", words.number(e, "chi4_peak", peak) + (f" ({effort})" if effort else "")))
        if counted:
            per = f"events per site and {time.removesuffix('s')}"
            rows.append(("yield rate", words.number(e, "inverse_yield_rate", rate, per)))
            rows.append(("1 / yield rate", words.number(e, "inverse_yield_rate", inverse, time)))
        else:
            rows.append(("yield rate", "not known: no event after equilibration"))
        if "xi4" in numbers:
            rows.append(("xi_4", words.number(e, "xi4", numbers["xi4"], "sites")))
        rows += [
            ("autocorrelation time of P", words.autocorrelation(tau, e.origins)),
            ("events", words.events(total, counted, int(e.params["run"]["overlap"]))),
            ("events per second", f"{total / seconds:.3g}" if seconds else "-"),
        ]
        rows += [("snapshots", line) for line in dict.fromkeys(line for run in e.runs for line in words.snapshots(run))]
        *others, most = sorted({run.history[-1]["ranks"] for run in e.runs})
        ranks = "/".join([*map(str, others), number_of(most, "rank")])
        origins = e.unfinished or number_of(e.origins, "origin")
        return words.block(f"{_where(e)}: {e.name}, {origins}, {ranks}, {seconds:.1f} s", rows)

    def scalars(self) -> xarray.Dataset:
        """What needs no curve: the numbers, and the cut-offs of avalanches by their criterion."""
        e, result = self.ensemble, xarray.Dataset()
        for name, estimate in self.numbers.items():
            add(result, name, (), estimate, e.units.of(_NUMBERS[name][1]))
        if "avalanches/moments" in e.data:
            add(result, "avalanche_cutoff", ("criterion",), estimators.avalanche_cutoff(e), "events")
            result = result.assign_coords(criterion=_coordinate(e, "avalanches", "criterion", result.sizes["criterion"]))
        return result.expand_dims("state").assign_coords({name: ("state", [value]) for name, value in _labels(e).items()})

    def dataset(self) -> xarray.Dataset:
        """Everything, as the one `state` of a dataset."""
        e, result = self.ensemble, self.scalars().isel(state=0, drop=True)
        result = result.assign_coords(lag=("lag", e.lag, {"units": e.units.time}))
        add(result, "persistence", ("lag",), jackknife(lambda o: e.persistence[o].mean(axis=0), e.origins))
        add(result, "chi4", ("lag",), jackknife(lambda o: estimators.chi4(e.persistence[o], e.sites), e.origins))
        if "correlations/plastic" in e.data:
            for name, curve in (("stress", estimators.stress_correlation), ("plastic", estimators.plastic_correlation)):
                add(result, f"{name}_correlation", ("lag",), jackknife(partial(curve, e), e.origins))
        edges = e.data["histograms/stress/edges"]
        result = result.assign_coords(stress=("stress", 0.5 * (edges[1:] + edges[:-1]), {"units": e.units.stress}))
        add(result, "stress_density", ("stress",), jackknife(lambda o: estimators.stress_density(e, o), e.origins),
            f"1/{e.units.stress}")  # fmt: skip
        for group, variables in _DISTRIBUTIONS.items():
            for name, dims, units in variables:
                if f"{group}/{name}" in e.data:
                    add(result, f"{group}_{name}", dims, jackknife(partial(_per_origin, e, group, name), e.origins),
                        e.units.of(units))  # fmt: skip
                    result = result.assign_coords({dim: _coordinate(e, group, dim, result.sizes[dim]) for dim in dims})
        return result.expand_dims("state").assign_coords({name: ("state", [value]) for name, value in _labels(e).items()})


def _per_origin(e: Ensemble, group: str, name: str, origins: np.ndarray) -> np.ndarray:
    """Mean over some origins; of the durations and extents of avalanches the mean over the avalanches of a bin (NaN: none)."""
    values = e.data[f"{group}/{name}"][origins].astype(float)
    if name in ("duration", "extent"):
        number = e.data[f"{group}/number"][origins].sum(axis=0)
        ratio: np.ndarray = np.divide(values.sum(axis=0), number, out=np.full(number.shape, np.nan), where=number > 0)
        return ratio
    mean: np.ndarray = values.mean(axis=0)
    return mean


def _coordinate(e: Ensemble, group: str, dim: str, length: int) -> tuple[str, np.ndarray, dict[str, str]]:
    if dim == "criterion":
        pairs = zip(e.data["avalanches/gap"], e.data["avalanches/threshold"], strict=True)
        return dim, np.array([f"x0 = {x0:g}" if np.isnan(gap) else f"gap = {gap:g}" for gap, x0 in pairs]), {}
    if dim == "power":
        return dim, np.array(["1", "S", "S^2", "S^3", "largest S"]), {}
    values: np.ndarray = e.data[f"{group}/{_SOURCES.get(dim, 'edges')}"]
    return dim, values[:length], {"units": e.units.of(_COORDINATE_UNITS[dim])}


def _labels(e: Ensemble) -> dict[str, Any]:
    lx, ly = e.params["lattice"]["size"]
    model, engine = e.params["model"], e.params["engine"]
    return {"where": _where(e), "model": model["name"], "activation": "thermal", "temperature": e.temperature, "lx": lx,
            "ly": ly, "elasticity": model["elasticity"], "engine": engine["name"], "trajectories": len(e.runs),
            "origins": e.origins, "status": "unfinished" if e.unfinished else "finished"}  # fmt: skip


def _where(e: Ensemble) -> str:
    return str(e.runs[0].folder) if len(e.runs) == 1 else f"{len(e.runs)} runs"
