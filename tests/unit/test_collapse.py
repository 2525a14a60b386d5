"""Data collapse on synthetic data, with known exponents and with none."""

import numpy as np
import pytest

from mpiepm.analysis.collapse import Points, collapse, qualities
from mpiepm.core.params import ParameterError

A, INVERSE_NU = 1.6, 1.0


def grid(coldest: float = 0.005, hottest: float = 0.05, number: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """L and T of every point."""
    length, temperature = np.meshgrid([32.0, 64.0, 128.0, 256.0], np.geomspace(coldest, hottest, number), indexing="ij")
    return length.ravel(), temperature.ravel()


def synthetic(rng: np.random.Generator, noise: float = 0.06, b: float = 0.0) -> Points:
    """L^a (1 + b / L) f(T L^(1/nu)), f flat below 1 and ~ x^(-a nu) above it, with Gaussian errors."""
    length, temperature = grid()
    x = temperature * length**INVERSE_NU
    value = length**A * (1 + b / length) / (1 + x**2) ** (A / INVERSE_NU / 2)
    return Points(length, temperature, value * (1 + noise * rng.standard_normal(len(x))), noise * value)


def test_the_quality_is_the_sum_of_the_paper() -> None:
    # a point of L = 1 at ln T = ln 2 between two of L = 2, at ln 1 and ln 4: the line through them has Y = 0.5 +- 0.1 / sqrt(2)
    value = np.exp([0.7, 0.0, 1.0])
    points = Points(np.array([1.0, 2.0, 2.0]), np.array([2.0, 1.0, 4.0]), value, 0.1 * value)
    s, compared = qualities(points, np.array([[0.0, 0.0, 0.0, 0.0, 1.0]]))
    assert compared[0] == 1
    assert s[0] == pytest.approx((0.7 - 0.5) ** 2 / (0.1**2 + 0.1**2 / 2))


def test_known_exponents_are_found_and_errors_are_honest() -> None:
    rng, inside, probabilities = np.random.default_rng(1), [], []
    for k in range(40):
        found = collapse(synthetic(rng), replicas=30, seed=k)
        exponents = found.parameters
        inside.append([abs(exponents["a"].value - A) < exponents["a"].error,
                       abs(exponents["inverse_nu"].value - INVERSE_NU) < exponents["inverse_nu"].error])  # fmt: skip
        probabilities.append(found.probability)
        assert abs(exponents["a"].value - A) < 5 * exponents["a"].error
    share = np.mean(inside, axis=0)
    assert (share > 0.48).all()  # 68 % +- 7.4 %
    assert (share < 0.9).all()
    assert np.mean(np.array(probabilities) > 0.5) == pytest.approx(0.5, abs=0.24)


def test_no_collapse_is_said_so() -> None:
    rng = np.random.default_rng(2)
    length, temperature = grid()
    slope = np.select([length == 32, length == 64, length == 128], [0.3, 1.5, 0.7], 2.0)  # another power of T at every size
    value = length * (temperature / 0.01) ** -slope
    points = Points(length, temperature, value * (1 + 0.05 * rng.standard_normal(len(value))), 0.05 * value)
    found = collapse(points, replicas=100)
    assert found.quality > 10
    assert found.probability < 0.01
    assert not found.holds


def test_without_size_dependence_only_the_power_of_the_temperature_is_known() -> None:
    rng = np.random.default_rng(3)
    length, temperature = grid()
    points = Points(length, temperature, temperature**-1.5 * (1 + 0.05 * rng.standard_normal(36)), 0.05 * temperature**-1.5)
    found = collapse(points, replicas=100)
    assert found.holds
    assert found.gamma.value == pytest.approx(1.5, abs=4 * found.gamma.error)
    assert found.gamma.error < 0.05
    assert found.parameters["a"].error > 0.3


def test_a_correction_to_scaling() -> None:
    points = synthetic(np.random.default_rng(4), noise=0.02, b=10.0)
    without = collapse(points, replicas=40)
    found = collapse(points, ("a", "inverse_nu", "b"), {"omega": 1.0}, replicas=40)
    assert abs(without.parameters["a"].value - A) > 5 * without.parameters["a"].error
    assert found.quality < without.quality
    assert found.parameters["a"].value == pytest.approx(A, abs=3 * found.parameters["a"].error)
    assert found.parameters["b"].value == pytest.approx(10.0, abs=3 * found.parameters["b"].error)


def test_a_critical_temperature() -> None:
    rng = np.random.default_rng(5)
    length, temperature = grid(0.008, 0.05, 14)
    value = length**0.5 * (1 - 0.8 * np.tanh((temperature - 0.02) * length / 2))
    points = Points(length, temperature, value * (1 + 0.04 * rng.standard_normal(len(value))), 0.04 * value)
    found = collapse(points, ("a", "inverse_nu", "T_c"), replicas=25).parameters
    for name, truth in (("a", 0.5), ("inverse_nu", 1.0), ("T_c", 0.02)):
        assert found[name].value == pytest.approx(truth, abs=4 * found[name].error)
        assert found[name].error < 0.2 * truth


def test_what_cannot_be_tried() -> None:
    points = synthetic(np.random.default_rng(6))
    with pytest.raises(ParameterError, match="nu: is no parameter of a collapse, must be one of a, inverse_nu"):
        collapse(points, ("a", "nu"))
    with pytest.raises(ParameterError, match="at least two sizes"):
        collapse(points.where(points.length == 64))
    gap = np.where(points.length > 64, 1e9, 1.0)
    apart = Points(points.length, gap * points.temperature, points.value, points.error)
    with pytest.raises(ParameterError, match="do not overlap"):
        collapse(apart.where((points.length == 64) | (points.length == 128)))
    with pytest.raises(ParameterError, match="at least 8 points"):
        collapse(points.where(points.temperature < 0.0051))
