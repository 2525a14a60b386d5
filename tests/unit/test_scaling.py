"""Size dependence: what is compared with what, and what is said about it."""

import numpy as np
import pytest
import xarray

from mpiepm.analysis import scaling


def table(xi: tuple[float, float] = (5.0, 60.0)) -> xarray.Dataset:
    """Two temperatures, three sizes: no size dependence at the higher, and L = 32 slower at the lower."""
    temperature, length = np.repeat([0.1, 0.01], 3), np.tile([32.0, 64.0, 128.0], 2)
    tau = np.array([10.0, 10.2, 10.1, 2000.0, 1000.0, 1010.0])
    columns = {"tau_alpha": tau, "tau_alpha_error": 0.02 * tau, "xi4": np.repeat(xi, 3)}
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
