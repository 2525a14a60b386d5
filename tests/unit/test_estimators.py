"""Estimators on data whose answers are known."""

import numpy as np
import pytest

from mpiepm.analysis import estimators
from mpiepm.analysis.read import complete


def test_relaxation_time_of_an_exponential() -> None:
    lag = 0.01 * 10 ** (np.arange(100) / 16)
    persistence = np.exp(-np.outer([1.0, 1.0], lag) / 7.0)
    assert estimators.relaxation_time(lag, persistence) == pytest.approx(7 * np.log(2), rel=1e-2)
    assert np.isnan(estimators.relaxation_time(lag[:5], persistence[:, :5]))
    assert estimators.relaxation_time(np.array([10.0]), np.array([[0.25]])) == pytest.approx(10 * 0.5 / 0.75)


def test_chi4_of_independent_sites() -> None:
    rng = np.random.default_rng(0)
    sites, origins, p = 400, 4000, 0.3
    persistence = rng.binomial(sites, p, (origins, 1)) / sites
    assert estimators.chi4(persistence, sites)[0] == pytest.approx(p * (1 - p), rel=4 * np.sqrt(2 / origins))
    assert np.isnan(estimators.chi4(persistence[:1], sites)).all()


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    data = np.random.default_rng(1).normal(size=50)
    estimate = estimators.jackknife(lambda units: float(data[units].mean()), len(data))
    assert estimate.value == pytest.approx(data.mean())
    assert estimate.error == pytest.approx(data.std(ddof=1) / np.sqrt(50))
    assert np.isnan(estimators.jackknife(lambda units: 1.0, 1).error)


def test_origins_that_ended_early_do_not_count_as_relaxed_unless_they_were() -> None:
    lag = np.array([1.0, 2.0, 3.0])
    persistence = np.array([[0.9, 0.25, np.nan], [0.9, 0.5, 0.25]])
    cut, values = complete(lag, persistence, 0.3)
    assert list(cut) == [1.0, 2.0]
    assert np.array_equal(values, persistence[:, :2])
    cut, values = complete(lag, persistence, 0.01)
    assert list(cut) == list(lag)
    assert values[0, 2] == 0.0
