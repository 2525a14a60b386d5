"""Everything that archives tell, as labelled arrays: one xarray.Dataset with a dimension `state` over state points.

Curves of different state points share their grid of lags; where one has no value there is NaN. Of every estimate X there is
X_error, its standard error, and X_correlation, tau of the origins it rests on (`analysis.errors`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from mpiepm.analysis import estimators
from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.read import Ensemble, ensembles

_SCALARS: dict[str, tuple[str, str, Callable[[Ensemble], Estimate]]] = {  # name: needs, units, estimator
    "tau_alpha": ("persistence/value", "sweeps", estimators.tau_alpha),
    "tau_stress": ("correlations/stress_product", "sweeps", estimators.tau_stress),
    "tau_plastic": ("correlations/plastic", "sweeps", estimators.tau_plastic),
    "inverse_yield_rate": ("origins/events", "sweeps", estimators.inverse_yield_rate),
    "chi4_peak": ("persistence/value", "1", estimators.chi4_peak),
    "xi4": ("four_point/structure_factor", "sites", estimators.xi4),
    "cluster_size": ("clusters/mean_size", "sites", estimators.cluster_size),
    "stress_variance": ("histograms/stress/counts", "sigma_c^2", estimators.stress_variance),
}


def analyse(folders: Sequence[Path]) -> xarray.Dataset:
    """All estimates from the runs in `folders`, any number of seeds and state points together.

    Raises
    ------
    ParameterError : if a folder holds no finished run, or runs do not belong together
    """
    return xarray.concat([state_point(e) for e in ensembles(folders)], "state", data_vars="all", join="outer")


def state_point(e: Ensemble) -> xarray.Dataset:
    """The estimates of one ensemble: its one `state`."""
    result = numbers(e).isel(state=0, drop=True).assign_coords(lag=e.lag)
    result["lag"].attrs["units"] = "sweeps"
    _add(result, "persistence", ("lag",), jackknife(lambda o: e.persistence[o].mean(axis=0), e.origins))
    _add(result, "chi4", ("lag",), jackknife(lambda o: estimators.chi4(e.persistence[o], e.sites), e.origins))
    if "correlations/plastic" in e.data:
        for name, curve in (("stress", estimators.stress_correlation), ("plastic", estimators.plastic_correlation)):
            _add(result, f"{name}_correlation", ("lag",), jackknife(partial(curve, e), e.origins))
    edges = e.data["histograms/stress/edges"]
    result = result.assign_coords(stress=0.5 * (edges[1:] + edges[:-1]))
    _add(result, "stress_density", ("stress",), jackknife(lambda o: estimators.stress_density(e, o), e.origins), "1/sigma_c")
    for group, variables in _DISTRIBUTIONS.items():
        for name, dims, units in variables:
            if f"{group}/{name}" in e.data:
                _add(result, f"{group}_{name}", dims, jackknife(partial(_per_origin, e, group, name), e.origins), units)
                result = result.assign_coords({dim: _coordinate(e, group, dim, result.sizes[dim]) for dim in dims})
    return _labelled(result, e)


def numbers(e: Ensemble) -> xarray.Dataset:
    """The estimates of one ensemble that are numbers, without its curves."""
    result = xarray.Dataset()
    for name, (needed, units, estimator) in _SCALARS.items():
        if needed in e.data:
            _add(result, name, (), estimator(e), units)
    if "avalanches/moments" in e.data:
        _add(result, "avalanche_cutoff", ("criterion",), estimators.avalanche_cutoff(e), "events")
        result = result.assign_coords(criterion=_coordinate(e, "avalanches", "criterion", result.sizes["criterion"]))
    return _labelled(result, e)


def _labelled(result: xarray.Dataset, e: Ensemble) -> xarray.Dataset:
    labels = {name: ("state", [value]) for name, value in _labels(e).items()}
    return result.drop_vars(labels, errors="ignore").expand_dims("state").assign_coords(labels)


# a bin is named by its lower edge
_DISTRIBUTIONS: dict[str, list[tuple[str, tuple[str, ...], str]]] = {
    "four_point": [("structure_factor", ("map_lag", "shell"), "1")],
    "clusters": [("number", ("map_lag", "cluster_size"), "1"), ("mean_size", ("map_lag",), "sites"),
                 ("largest", ("map_lag",), "sites")],
    "waiting_times": [("exchange", ("exchange_time",), "1")],
    "avalanches": [("number", ("criterion", "avalanche_size"), "1"), ("duration", ("criterion", "avalanche_size"), "sweeps"),
                   ("extent", ("criterion", "avalanche_size"), "sites"), ("moments", ("criterion", "power"), "1")],
}  # fmt: skip
_SOURCES = {"map_lag": "lag", "shell": "wave_number"}  # of a coordinate; the others are bins, with edges


def _per_origin(e: Ensemble, group: str, name: str, origins: np.ndarray) -> np.ndarray:
    """Mean over some origins; of the durations and extents of avalanches the mean over the avalanches of a bin (NaN: none)."""
    values = e.data[f"{group}/{name}"][origins].astype(float)
    if name in ("duration", "extent"):
        number = e.data[f"{group}/number"][origins].sum(axis=0)
        ratio: np.ndarray = np.divide(values.sum(axis=0), number, out=np.full(number.shape, np.nan), where=number > 0)
        return ratio
    mean: np.ndarray = values.mean(axis=0)
    return mean


def _coordinate(e: Ensemble, group: str, dim: str, length: int) -> np.ndarray:
    if dim == "criterion":
        pairs = zip(e.data["avalanches/gap"], e.data["avalanches/threshold"], strict=True)
        return np.array([f"x0 = {x0:g}" if np.isnan(gap) else f"gap = {gap:g}" for gap, x0 in pairs])
    if dim == "power":
        return np.array(["1", "S", "S^2", "S^3", "largest S"])
    values: np.ndarray = e.data[f"{group}/{_SOURCES.get(dim, 'edges')}"]
    return values[:length]


def _labels(e: Ensemble) -> dict[str, Any]:
    lx, ly = e.params["lattice"]["size"]
    model, engine = e.params["model"], e.params["engine"]
    return {"temperature": e.temperature, "lx": lx, "ly": ly, "model": model["name"], "elasticity": model["elasticity"],
            "engine": engine["name"], "trajectories": len(e.runs), "origins": e.origins}  # fmt: skip


def _add(result: xarray.Dataset, name: str, dims: tuple[str, ...], estimate: Estimate, units: str = "1") -> None:
    result[name] = (dims, estimate.value, {"units": units})
    result[f"{name}_error"] = (dims, estimate.error, {"units": units, "description": "standard error"})
    description = "integrated autocorrelation time of the origins, in origins"
    result[f"{name}_correlation"] = (dims, estimate.correlation, {"units": "1", "description": description})


def save(result: xarray.Dataset, path: Path) -> None:
    """To CSV (one line per state point, the numbers only), or to NetCDF-4 / HDF5 (everything), by the suffix of `path`."""
    if path.suffix == ".csv":
        scalars = result[[name for name, values in result.data_vars.items() if values.dims == ("state",)]]
        scalars.to_dataframe().to_csv(path, index=False)
    else:
        result.to_netcdf(path, engine="h5netcdf")
