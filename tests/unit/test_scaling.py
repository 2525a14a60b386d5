"""Size dependence: what is compared with what, and what is said about it."""

import numpy as np
import pytest
import xarray

from mpiepm.analysis import scaling
from mpiepm.analysis.ensembles import Ensemble


def table(xi: tuple[float, float] = (5.0, 60.0)) -> xarray.Dataset:
    """Two temperatures, three sizes: no size dependence at the higher, and L = 32 slower at the lower."""
    temperature, length = np.repeat([0.1, 0.01], 3), np.tile([32.0, 64.0, 128.0], 2)
    tau = np.array([10.0, 10.2, 10.1, 2000.0, 1000.0, 1010.0])
    columns = {"tau_alpha": tau, "tau_alpha_error": 0.02 * tau, "xi4": np.repeat(xi, 3), "xi4_error": np.zeros(6)}
    return xarray.Dataset(
        {name: ("state", values) for name, values in columns.items()},
        coords={"temperature": ("state", temperature), "length": ("state", length)},
    )


def test_successive_sizes_are_compared() -> None:
    steps = scaling.steps(table(), "tau_alpha")
    assert [(s.temperature, s.length) for s in steps] == [(t, length) for t in (0.1, 0.01) for length in (32, 64, 128)]
    cold = steps[3]
    assert cold.ratio.value == pytest.approx(0.5)
    assert cold.ratio.error == pytest.approx(0.5 * np.hypot(0.02, 0.02))
    assert cold.slope.value == pytest.approx(-1.0)
    assert cold.deviation == pytest.approx(np.log(0.5) / np.hypot(0.02, 0.02))
    assert cold.lengths == pytest.approx(32 / 60)
    assert [s.verdict for s in steps] == [
        "agrees within 5.7 %", "agrees within 5.7 %", "largest",
        "too small", "agrees within 5.7 %, L < 3 xi_4", "largest, L < 3 xi_4",
    ]  # fmt: skip


def test_smallest_size_that_is_large_enough() -> None:
    assert scaling.sufficient(table(), "tau_alpha")[0.1] == 32
    assert np.isnan(scaling.sufficient(table(), "tau_alpha")[0.01])  # no size holds three xi_4
    assert scaling.sufficient(table(xi=(5.0, 20.0)), "tau_alpha")[0.01] == 64
    assert scaling.sufficient(table(xi=(5.0, 5.0)), "tau_alpha")[0.01] == 64  # by xi_4 L = 32 were enough, but it differs


def test_the_largest_is_large_enough_only_if_it_agrees_with_another() -> None:
    cold = table(xi=(5.0, 5.0))
    assert np.isnan(scaling.sufficient(cold.isel(state=[0, 3]), "tau_alpha")[0.1])  # there is one size
    cold["tau_alpha"][5] = 1300.0
    assert np.isnan(scaling.sufficient(cold, "tau_alpha")[0.01])
    cold["tau_alpha"][5] = np.nan
    assert np.isnan(scaling.sufficient(cold, "tau_alpha")[0.01])
    assert scaling.sufficient(cold, "tau_alpha")[0.1] == 32


def test_what_has_no_error_is_not_compared() -> None:
    exact = table()
    exact["tau_alpha_error"][:] = 0.0
    assert np.isnan([step.deviation for step in scaling.steps(exact, "tau_alpha")]).all()


def test_few_origins_get_the_correlation_of_many() -> None:
    states = table().isel(state=[0, 1])[["temperature"]].assign_coords(origins=("state", [400, 21]))
    for name, value in (("tau_alpha", 10.0), ("chi4_peak", 30.0)):
        for suffix, one in (("", value), ("_error", 0.1 * value), ("_correlation", 1.0)):
            states[f"{name}{suffix}"] = ("state", np.full(2, one))
        states[f"{name}_correlation"][0] = 2.0
    borrowed = scaling.with_borrowed_correlations(states)
    assert borrowed.tau_alpha.values.tolist() == [10.0, 10.0]
    assert borrowed.tau_alpha_error.values == pytest.approx([1.0, np.sqrt(2.0)])
    assert borrowed.chi4_peak.values == pytest.approx([30.0, 30.0 * 20 / 19])  # (tau - 1) / (n - 1) = 1 / 20 was missing
    assert borrowed.chi4_peak_error.values == pytest.approx([3.0, 30.0 * 20 / 19 * np.sqrt(4 / 20)])
    states = states.assign_coords(origins=("state", [400, 2]))
    assert np.isnan(scaling.with_borrowed_correlations(states).chi4_peak.values[1])
    assert states.chi4_peak.values.tolist() == [30.0, 30.0]


def test_the_hottest_are_left_out_until_the_rest_collapses() -> None:
    rng = np.random.default_rng(7)
    sizes, temperatures = np.meshgrid([32.0, 64.0, 128.0, 256.0], np.geomspace(0.005, 0.05, 8), indexing="ij")
    length, temperature = sizes.ravel(), temperatures.ravel()
    value = length**1.5 / (1 + (temperature * length) ** 2) ** 0.75
    value[temperature > 0.03] *= length[temperature > 0.03] ** 0.8
    data = scaling.Points(length, temperature, value * (1 + 0.05 * rng.standard_normal(len(value))), 0.05 * value)
    found = scaling.widest_collapse(data, replicas=100)
    assert found is not None
    assert found.holds
    assert found.points.temperature.max() < 0.03
    assert found.parameters["a"].value == pytest.approx(1.5, abs=3 * found.parameters["a"].error)


def test_what_is_missing_is_told_state_by_state() -> None:
    lag, p = np.array([1.0, 2.0]), np.array([[0.9, 0.8], [0.95, 0.7]])
    data = {"origins/events": np.ones(2)}
    few = [Ensemble((), {"model": {"temperature": t}}, 16 * 64, 2, lag, p, data) for t in (0.1, 0.01)]
    here = table().isel(state=[0, 3])
    here["tau_alpha"][0] = here["tau_alpha_error"][0] = np.nan
    here["xi4_error"][1] = np.nan
    assert scaling.notes(here, few, {"tau_alpha": "tau_alpha", "xi4": "xi_4", "absent": "?"}) == [
        "T = 0.1, L = 32: tau_alpha: the record ends before P falls to 1/2",
        "T = 0.01, L = 32: xi_4: no error: without one of the origins there is no value",
    ]
