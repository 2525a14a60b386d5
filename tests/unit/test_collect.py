"""Collecting grids that do not have the same axes."""

from pathlib import Path

import numpy as np
import xarray

from mpiepm.analysis.results import save
from mpiepm.campaign.collect import same_axes


def test_grids_with_different_axes_become_one_table(tmp_path: Path) -> None:
    """A number that is missing is NaN, a word that is missing empty; numbers in one grid and words in another are words."""
    grids = [
        {"axis_L": [16], "axis_model.barrier_exponent": [2.0], "axis_model.kernel": ["paper"], "axis_run.origins": [4]},
        {"axis_L": [32], "axis_run.origins": ["many"]},
    ]
    found = [
        xarray.Dataset({"value": ("state", [1.0])}, {name: ("state", values) for name, values in axes.items()})
        for axes in grids
    ]
    together = xarray.concat(same_axes(found), "state", data_vars="all", join="outer")
    assert together["axis_L"].values.tolist() == [16, 32]
    np.testing.assert_array_equal(together["axis_model.barrier_exponent"], [2.0, np.nan])
    assert together["axis_model.kernel"].values.tolist() == ["paper", ""]
    assert together["axis_run.origins"].values.tolist() == ["4", "many"]
    for name in ("all.nc", "all.csv"):
        save(together, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 0
