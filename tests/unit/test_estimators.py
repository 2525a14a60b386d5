"""Estimators on data whose answers are known."""

import numpy as np
import pytest

from mpiepm.analysis import estimators, words
from mpiepm.analysis.ensembles import Ensemble, complete
from mpiepm.analysis.errors import Estimate, jackknife


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


def test_a_peak_beyond_the_last_lag_is_not_known() -> None:
    spread = np.array([-1.0, 0.0, 1.0])[:, None]
    measured = 0.5 + spread * np.array([0.1, 0.3, 0.2])
    whole = Ensemble((), {}, 100, 3, np.arange(1.0, 4.0), measured, {})
    assert estimators.chi4_peak(whole).value == pytest.approx(100 * 0.09)
    assert np.isnan(estimators.chi4_peak(Ensemble((), {}, 100, 3, np.arange(1.0, 3.0), measured[:, :2], {})).value)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    data = np.random.default_rng(1).normal(size=50)
    estimate = jackknife(lambda units: float(data[units].mean()), len(data))
    assert estimate.value == pytest.approx(data.mean())
    assert estimate.error == pytest.approx(data.std(ddof=1) / np.sqrt(50))
    assert np.isnan(jackknife(lambda units: 1.0, 1).error)


def test_origins_that_ended_early_do_not_count_as_relaxed_unless_they_were() -> None:
    lag = np.array([1.0, 2.0, 3.0])
    persistence = np.array([[0.9, 0.25, np.nan], [0.9, 0.5, 0.25]])
    cut, values = complete(lag, persistence, 0.3)
    assert list(cut) == [1.0, 2.0]
    assert np.array_equal(values, persistence[:, :2])
    cut, values = complete(lag, persistence, 0.01)
    assert list(cut) == list(lag)
    assert values[0, 2] == 0.0


def test_jackknife_of_correlated_origins() -> None:
    # AR(1): the variance of the mean of n is larger by (1 + a) / (1 - a) than that of n independent values
    rng, a, n, chains = np.random.default_rng(3), 0.7, 400, 20
    data = np.empty((chains, n))
    data[:, 0] = rng.normal(size=chains) / np.sqrt(1 - a**2)
    for k in range(1, n):
        data[:, k] = a * data[:, k - 1] + rng.normal(size=chains)
    values = data.ravel()
    estimate = jackknife(lambda o: values[o].mean(), values.size)
    assert estimate.correlation == pytest.approx((1 + a) / (1 - a), rel=0.3)  # 2.5 standard errors
    exact = np.sqrt((1 + a) / (1 - a) / (1 - a**2) / values.size)
    assert estimate.error == pytest.approx(exact, rel=0.15)
    shuffled = rng.permutation(values)
    assert jackknife(lambda o: shuffled[o].mean(), values.size).correlation < 1.2
    curve = jackknife(lambda o: np.stack([values[o], 3 * values[o]], axis=1).mean(axis=0), values.size)
    assert curve.error == pytest.approx([estimate.error, 3 * estimate.error])


@pytest.mark.parametrize("length", [16, 64, 256])
def test_correlation_length_of_an_ornstein_zernike_curve(length: int) -> None:
    shell = np.arange(1, length // 2)
    q, vectors = 2 * np.pi / length * shell, 6.0 * shell
    assert estimators.correlation_length(50.0, 50.0 / (1 + (4.0 * q) ** 2), q, vectors) == pytest.approx(4.0)
    assert np.isnan(estimators.correlation_length(1.0, 1.0 + q, q, vectors))


def test_activation_energy_of_an_arrhenius_law() -> None:
    temperature = np.array([0.01, 0.013, 0.02])
    fit = estimators.activation_energy(temperature, 3.0 * np.exp(0.14 / temperature), 0.01 * np.exp(0.14 / temperature))
    assert fit.value == pytest.approx(0.14)
    assert fit.error > 0


NAN = float("nan")


def ensemble(persistence: list[list[float]], **data: np.ndarray) -> Ensemble:
    values = np.array(persistence)
    lag = np.arange(1.0, values.shape[1] + 1.0)
    return Ensemble((), {}, 100, len(values), lag, values, {"origins/events": np.ones(len(values)), **data})


def test_what_is_missing_is_said_in_words() -> None:
    one = ensemble([[0.9, 0.6, 0.4]])
    assert words.number(one, "tau_alpha", estimators.tau_alpha(one), "sweeps") == "2.4495 sweeps (one origin: no error)"
    assert words.number(one, "chi4_peak", estimators.chi4_peak(one)) == "not known: one origin: chi4 needs at least two"
    assert words.autocorrelation(estimators.tau_alpha(one), 1) == "not known: one origin"
    short = ensemble([[0.95, 0.9], [0.9, 0.7], [0.92, 0.8]])
    said = words.number(short, "tau_alpha", estimators.tau_alpha(short), "sweeps")
    assert said == "not known: the record ends before P falls to 1/2"
    assert words.number(short, "chi4_peak", estimators.chi4_peak(short)) == "not known: the record ends before the peak"
    two = ensemble([[0.9, 0.6, 0.4], [0.8, 0.7, 0.4]])
    assert words.number(two, "tau_alpha", Estimate(2.5, 0.125), "sweeps") == "2.5 +- 0.12 sweeps"
    no_tau = ensemble([[0.95, 0.9], [0.9, 0.7]])
    assert "tau_alpha is not known" in words.why_unknown(no_tau, "xi4", Estimate(NAN, NAN))
    coarse = ensemble([[0.9, 0.6, 0.4], [0.8, 0.7, 0.4]], **{"four_point/lag": np.array([1.0, 2.0])})
    assert words.why_unknown(coarse, "xi4", Estimate(NAN, NAN)) == "tau_alpha lies outside the lags of the maps"
    still = ensemble([[0.9, 0.6, 0.4], [0.8, 0.7, 0.4]], **{"origins/events": np.zeros(2)})
    assert words.why_unknown(still, "inverse_yield_rate", Estimate(1.0, 0.0)) == "no event after equilibration: a lower bound"
    assert "nan" not in f"{Estimate(0.86, NAN)} {Estimate(NAN, NAN)}"


def test_how_far_an_error_can_be_trusted() -> None:
    assert words.autocorrelation(Estimate(7.0, 0.1, 1.1), 20) == (
        "at least 1.1 origins; errors are lower bounds: 20 origins, at least 56 wanted"
    )
    assert words.autocorrelation(Estimate(7.0, 0.1, 1.1), 60) == "1.1 origins; errors account for it"
    few = words.autocorrelation(Estimate(7.0, 0.1), 5)
    assert few == "not known from fewer than 8 origins; errors are lower bounds: 5 origins, at least 50 wanted"


def test_how_many_origins_chi4_takes() -> None:
    assert words.chi4_effort(Estimate(10.0, 4.0), 50) == "for 10 % take about 800 origins"
    assert words.chi4_effort(Estimate(10.0, 0.1, 2.0), 11) == "for 10 % take about 440 origins"  # sqrt(2 tau / (n - 1))
    assert words.chi4_effort(Estimate(10.0, 0.9), 1000) == ""
    assert words.chi4_effort(Estimate(NAN, NAN), 1) == ""


def test_which_events_the_yield_rate_counts() -> None:
    assert words.events(1085346, 700000) == "1085346, of which 700000 after equilibration: those that the yield rate counts"
    assert words.events(10, 7, overlap=2).startswith("10, of which the yield rate counts 7: neither equilibration nor the end")
