"""Random walk in continuous time, mean field and random model of FMB: closed forms."""

import numpy as np
import pytest
from scipy import stats

from mpiepm.theory import random_walk


def bins(per_decade: int, first: int = -7, last: int = 5) -> np.ndarray:
    edges = 10.0 ** (first + np.arange((last - first) * per_decade + 1) / per_decade)
    edges[0] = 0.0
    return edges


S = np.logspace(-4, 4, 33)


def test_exponential_waits_make_a_poisson_process() -> None:
    rate, worst = 3.0, []
    for per_decade in (8, 16, 32):
        edges = bins(per_decade)
        n = random_walk.events(edges, np.diff(-np.exp(-rate * edges)), S)
        worst.append(np.abs(n * S**2 / rate - 1.0).max())
    assert worst[0] < 1.5e-2
    assert worst[1] == pytest.approx(worst[0] / 4.0, rel=0.1)  # the bins' doing, second order in their width
    assert worst[2] == pytest.approx(worst[1] / 4.0, rel=0.1)
    # the same with next to no width: N(s) = rate / s^2
    edges = np.concatenate([[0.0], np.geomspace(1e-9, 60.0, 20001) / rate])
    n = random_walk.events(edges, np.diff(-np.exp(-rate * edges)), S)
    assert n == pytest.approx(rate / S**2, rel=1e-6)


def test_transform_is_exact_for_its_bins_and_stable_at_both_ends() -> None:
    edges, counts = np.array([0.0, 1.0, 3.0]), np.array([1, 3])
    s = np.array([0.3, 1.0, 7.0])
    exact = 0.25 * (1.0 - np.exp(-s)) / s + 0.75 * (np.exp(-s) - np.exp(-3.0 * s)) / (2.0 * s)
    assert random_walk.transform(edges, counts, s) == pytest.approx(exact, rel=1e-14)
    mean, square = 0.25 * 0.5 + 0.75 * 2.0, 0.25 / 3.0 + 0.75 * 26.0 / 6.0
    tiny = np.array([1e-15, 1e-9, 1e-5])  # N = 1 / (<tau> s^2) + <tau^2> / (2 <tau>^2 s) - 1 / s
    expected = (1.0 + tiny * (0.5 * square / mean - mean)) / (mean * tiny**2)
    assert random_walk.events(edges, counts, tiny) == pytest.approx(expected, rel=1e-9)
    huge = np.array([1e6, 1e12])  # psi -> psi(0) / s
    assert random_walk.events(edges, counts, huge) == pytest.approx(0.25 / huge**2, rel=1e-5)


def test_slope_is_the_derivative() -> None:
    edges = bins(8)
    counts = np.diff(stats.gamma(1.0 / 3.0, scale=20.0).cdf(edges))
    h = 1e-5
    change = np.log(random_walk.events(edges, counts, S * np.exp(h)) / random_walk.events(edges, counts, S * np.exp(-h)))
    assert random_walk.events_slope(edges, counts, S) == pytest.approx(change / (2.0 * h), abs=1e-8)


@pytest.mark.parametrize("mu", [1.0 / 3.0, 0.5, 2.0 / 3.0])
def test_power_law_tail(mu: float) -> None:
    # 1 - psi ~ Gamma(1 - mu) s^mu up to s^1: the correction to the slope is of order s^(1 - mu) and s^mu
    edges = np.concatenate([[0.0], np.logspace(0, 40, 641)])
    counts = np.diff(np.concatenate([[1.0, 1.0], edges[2:] ** -mu])) * -1.0
    slope = random_walk.events_slope(edges, counts, np.array([1e-20]))
    assert slope == pytest.approx(-(1.0 + mu), abs=1e-5)


def test_power_law_with_cutoff_as_in_fmb() -> None:
    # psi ~ tau^(-2/3) e^(-tau/c): psi(s) = (1 + s c)^(-1/3), slope from -2 to -4/3, never to -5/3 as a plateau
    nu, cutoff = 1.0 / 3.0, 20.0
    edges = bins(32, first=-24)
    s = np.logspace(-5, 10, 46)
    found = random_walk.events_slope(edges, np.diff(stats.gamma(nu, scale=cutoff).cdf(edges)), s)
    x = s * cutoff
    exact = -1.0 - nu * x / (1.0 + x) / -np.expm1(-nu * np.log1p(x))
    assert found == pytest.approx(exact, abs=1e-3)
    assert found[0] == pytest.approx(-2.0, abs=1e-3)
    assert found[-1] == pytest.approx(-4.0 / 3.0, abs=1e-3)


def test_random_model() -> None:
    square = random_walk.velocity_square(0.014, 0.5, 1.369829)
    assert square == pytest.approx(0.25 * 0.014 * 1.369829)
    t = np.array([1e-9, 0.1, 1.0, 30.0, 1e9])
    d = random_walk.diffusion(t, square)
    assert d[1:4] == pytest.approx(0.5 * square * (1.0 - (1.0 - np.exp(-t[1:4])) / t[1:4]), rel=1e-12)
    assert d[0] == pytest.approx(0.25 * square * t[0], rel=1e-8)  # ballistic: <dr^2> = <v^2> t^2
    assert d[-1] == pytest.approx(0.5 * square, rel=1e-8)
    # dimensions: times in other units, and velocities too
    assert random_walk.diffusion(7.0 * t, square / 49.0, 7.0) == pytest.approx(d / 7.0, rel=1e-12)


def test_random_model_in_steps() -> None:
    # <dr^2> = sum over pairs of steps of dt^2 <v^2> rho^|i - j|
    square, duration, step = 0.3, 2.0, 0.1
    for m in (1, 2, 50):
        i = np.arange(m)
        direct = step**2 * square * ((1.0 - step / duration) ** np.abs(i[:, None] - i)).sum()
        found = random_walk.diffusion(np.array([m * step]), square, duration, step)
        assert found == pytest.approx(direct / (4.0 * m * step), rel=1e-10)
    t = np.array([0.5, 5.0, 50.0])
    continuous = random_walk.diffusion(t, square, duration)
    assert random_walk.diffusion(t, square, duration, 1e-6) == pytest.approx(continuous, rel=1e-5)
