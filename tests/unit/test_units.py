"""Units of what `analyse` gives, checked by what they say: in other units numbers change as they must."""

import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from mpiepm.analysis import motion
from mpiepm.analysis.ensembles import group
from mpiepm.analysis.origins import OriginsPoint
from mpiepm.analysis.read import Run, read, tracer_positions
from mpiepm.analysis.stationary import StationaryPoint
from mpiepm.models.parameters import parse

DATA = Path(__file__).parent.parent / "data" / "archive3"
SCALES = {"sweep": 2.0, "tau": 2.0, "sigma_c": 3.0, "sigma_Y": 3.0, "mu": 3.0, "site": 1.0, "event": 1.0, "1": 1.0}
# sizes in sites and S(q) at wave numbers of the lattice cannot be scaled, nor quantities that a model has no scale for
NOT_SCALED = ("second_moment_length", "xi4", "displacement_")


def scale(unit: str, scales: dict[str, float]) -> float:
    """By what a number with this unit grows if base units shrink by these factors."""
    found = 1.0
    for sign, part in re.findall(r"(^|/)([^/]+)", unit):
        base, _, power = part.partition("^")
        base = base if base in scales else base.removesuffix("s")
        found *= scales[base] ** ((-1 if sign else 1) * int(power or 1))
    return found


def scaled(run: Run, scales: dict[str, float]) -> Run:
    """The run with all its records in other units, by the units in its archive."""
    with h5py.File(run.files[0]) as file:
        data = {name: values * scale(file[name].attrs["units"], scales) if values.dtype.kind == "f" else values
                for name, values in run.data.items()}  # fmt: skip
    return replace(run, data=data)


def check(before: xarray.Dataset, after: xarray.Dataset, scales: dict[str, float]) -> int:
    """How many numbers changed as their units say."""
    checked = 0
    for name, values in {**before.data_vars, **before.coords}.items():
        if values.dtype.kind != "f" or "units" not in values.attrs or str(name).startswith(NOT_SCALED):
            continue
        expected = values.values * scale(values.attrs["units"], scales)
        assert np.allclose(after[name].values, expected, rtol=1e-6, equal_nan=True), (name, values.attrs["units"])
        checked += bool(np.isfinite(expected).any())
    return checked


def test_units_of_a_run_with_origins() -> None:
    run = read(DATA / "epmq")
    before, after = (OriginsPoint(group([r])[0]).dataset() for r in (run, scaled(run, SCALES)))
    assert check(before, after, SCALES) > 30
    assert before["tau_alpha"].attrs["units"] == before["lag"].attrs["units"] == "sweeps"


def test_units_of_a_stationary_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run, scales = read(DATA / "ferrero"), SCALES | {"site": 1.5}
    before = StationaryPoint(run).dataset()
    monkeypatch.setattr(motion, "tracer_positions", lambda run, number: 1.5 * tracer_positions(run, number))
    after = StationaryPoint(scaled(run, scales)).dataset()
    assert before["diffusion"].attrs["units"] == before["diffusion_curve"].attrs["units"] == "site^2/tau"
    assert after["diffusion"].item() == pytest.approx(before["diffusion"].item() * 1.5**2 / 2.0)
    assert check(before.drop_vars("wave_number"), after, scales) > 10


def test_extremal_dynamics_counts_events() -> None:
    params = parse("model.temperature = 0", ["engine={name='event', dynamics='extremal'}"])
    assert params.units.time == "events"
    run = read(DATA / "epmq")
    extremal = replace(run, params=params.model_dump(mode="json", exclude_none=True))
    point = OriginsPoint(group([extremal])[0])
    result = point.dataset()
    for name in ("tau_alpha", "inverse_yield_rate", "lag", "map_lag", "exchange_time"):
        assert result[name].attrs["units"] == "events", name
    assert "events per site and event" in point.table()
    mixed = xarray.concat([OriginsPoint(group([run])[0]).scalars(), point.scalars()], "state", combine_attrs="drop_conflicts")
    assert "units" not in mixed["tau_alpha"].attrs
    assert mixed["chi4_peak"].attrs["units"] == "1"
