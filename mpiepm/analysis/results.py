"""Everything that archives tell: state points, each estimated once, and all of them as one labelled xarray.Dataset.

The dataset has a dimension `state`. Curves of different state points share their grid of lags; where one has no value there is
NaN. Of every estimate X there is X_error, its standard error, and X_correlation, tau of the origins it rests on
(`analysis.errors`). Runs that are not finished are read as of their newest checkpoint; the coordinate `status` tells.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import xarray

from mpiepm.analysis.ensembles import group
from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.origins import OriginsPoint
from mpiepm.analysis.read import read
from mpiepm.analysis.stationary import StationaryPoint, all_different


class StatePoint(Protocol):
    """An ensemble of runs with origins, or one stationary run."""

    @property
    def numbers(self) -> dict[str, Estimate]:
        """Estimates that are single numbers, by name."""

    def table(self) -> str:
        """A block of lines, for the screen."""

    def dataset(self) -> xarray.Dataset:
        """Everything, as the one `state` of a dataset."""


def state_points(folders: Sequence[Path]) -> list[StatePoint]:
    """Those with origins in the order in which they come first, then each stationary run.

    Raises
    ------
    ParameterError : if a folder holds no run with something to analyse, or runs do not belong together
    """
    runs = [read(folder, allow_unfinished=True) for folder in folders]
    stationary = [run for run in runs if run.stationary]
    all_different(stationary)
    ensembles = group([run for run in runs if run not in stationary])
    return [*map(OriginsPoint, ensembles), *map(StationaryPoint, stationary)]


def labelled(points: Sequence[StatePoint]) -> xarray.Dataset:
    """All of them in one dataset; units where they are the same for all."""
    datasets = [point.dataset() for point in points]
    return xarray.concat(datasets, "state", data_vars="all", join="outer", combine_attrs="drop_conflicts")


def analyse(folders: Sequence[Path]) -> xarray.Dataset:
    """All estimates from the runs in `folders`, any number of seeds and state points together; see `state_points`."""
    return labelled(state_points(folders))


def save(result: xarray.Dataset, path: Path) -> None:
    """To NetCDF-4 / HDF5, or to CSV, by the suffix of `path`.

    As CSV the numbers, one line per state point, go to `path`, and beside it curves and tables to NAME-COORDINATES.csv.
    """
    if path.suffix != ".csv":
        result.to_netcdf(path, engine="h5netcdf")
        return
    by_dims: dict[tuple[str, ...], list[str]] = {}
    for name, values in result.data_vars.items():
        by_dims.setdefault(tuple(str(dim) for dim in values.dims if dim != "state"), []).append(str(name))
    for dims, names in by_dims.items():
        table = result[names].to_dataframe().dropna(how="all", subset=names)
        target = path.with_name("-".join([path.stem, *dims]) + ".csv") if dims else path
        table.reset_index().drop(columns="state").to_csv(target, index=False)
