"""Data collapse on synthetic data, with known exponents and with none."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2

from mpiepm.analysis.collapse import Points, collapse
from mpiepm.analysis.scaling import widest_collapse
from mpiepm.core.faults import ParameterError

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


def campaign(rng: np.random.Generator, law: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Points:
    """At the sizes and temperatures of a real campaign, with errors as of its chi4 peak: large lattices have few origins."""
    length, temperature = np.meshgrid(2.0 ** np.arange(5, 11), [0.03, 0.02, 0.015, 0.013, 0.01, 0.007], indexing="ij")
    length, temperature = length.ravel(), temperature.ravel()
    error = np.select([length == 32, length == 64, length == 128, length == 256], [0.03, 0.07, 0.1, 0.15], 0.3)
    value = law(length, temperature) * np.exp(error * rng.standard_normal(len(length)))
    return Points(length, temperature, value, error * value)


def test_the_quality_is_chi_squared_per_degree_of_freedom() -> None:
    rng = np.random.default_rng(0)
    x = np.log(np.geomspace(0.01, 0.1, 12))
    y, dy = 1.0 - 2.0 * x + 0.1 * rng.standard_normal(12), np.full(12, 0.1)
    points = Points(np.tile([1.0, 2.0], 6), np.exp(x), np.exp(y), dy * np.exp(y))
    found = collapse(points, (), {"inverse_nu": 0.0}, replicas=0)
    fit = np.polynomial.Polynomial.fit(x, y, found.degree, w=1 / dy)
    assert found.quality == pytest.approx(np.sum(((y - fit(x)) / dy) ** 2) / (12 - found.degree - 1))
    assert found.probability == pytest.approx(chi2.sf(found.quality * (11 - found.degree), 11 - found.degree))
    assert found.holds


def test_a_campaign_gives_back_its_exponents() -> None:
    rng, deviations = np.random.default_rng(8), []
    for _ in range(5):
        found = widest_collapse(campaign(rng, lambda n, t: n**2 / (1 + (t * n / 0.6) ** 2)), replicas=30)
        assert found is not None
        deviations += [(found.parameters[name].value - truth) / found.parameters[name].error
                       for name, truth in (("a", 2.0), ("inverse_nu", 1.0))]  # fmt: skip
        assert found.gamma.value == pytest.approx(2.0, abs=5 * found.gamma.error)
    assert np.sqrt(np.mean(np.square(deviations))) == pytest.approx(1.0, abs=0.6)


def test_a_campaign_without_collapse_is_told_so() -> None:
    powers = {32.0: 0.3, 64.0: 1.5, 128.0: 0.7}  # of T, another at every size
    rng, held = np.random.default_rng(9), 0
    for _ in range(8):
        points = campaign(rng, lambda n, t: n * (t / 0.01) ** -np.array([powers.get(one, 2.0) for one in n]))
        found = widest_collapse(points, replicas=0)
        assert found is not None
        held += found.holds
    assert held <= 1


def test_known_exponents_are_found_and_errors_are_honest() -> None:
    rng, inside, probabilities = np.random.default_rng(1), [], []
    for k in range(16):
        found = collapse(synthetic(rng), replicas=20, seed=k)
        exponents = found.parameters
        inside.append([abs(exponents["a"].value - A) < exponents["a"].error,
                       abs(exponents["inverse_nu"].value - INVERSE_NU) < exponents["inverse_nu"].error])  # fmt: skip
        probabilities.append(found.probability)
        assert abs(exponents["a"].value - A) < 5 * exponents["a"].error
    share = np.mean(inside, axis=0)
    assert (share > 0.33).all()  # 68 % +- 11.7 %
    assert (share < 1.0).all()
    assert np.mean(np.array(probabilities) > 0.5) == pytest.approx(0.5, abs=0.375)


def test_no_collapse_is_said_so() -> None:
    rng = np.random.default_rng(2)
    length, temperature = grid()
    slope = np.select([length == 32, length == 64, length == 128], [0.3, 1.5, 0.7], 2.0)  # another power of T at every size
    value = length * (temperature / 0.01) ** -slope
    points = Points(length, temperature, value * (1 + 0.05 * rng.standard_normal(len(value))), 0.05 * value)
    found = collapse(points, replicas=100)
    assert not found.holds
    assert found.objection
    together = collapse(points, ("a",), {"inverse_nu": 1.0}, replicas=0)  # where sizes do share the curve
    assert together.quality > 10
    assert together.probability < 0.01


def test_without_size_dependence_the_power_of_the_temperature_is_known_best() -> None:
    rng = np.random.default_rng(3)
    length, temperature = grid()
    points = Points(length, temperature, temperature**-1.5 * (1 + 0.05 * rng.standard_normal(36)), 0.05 * temperature**-1.5)
    found = collapse(points, replicas=100)
    assert found.holds
    assert found.gamma.value == pytest.approx(1.5, abs=4 * found.gamma.error)
    relative = {name: estimate.error / estimate.value for name, estimate in found.parameters.items()}
    assert found.gamma.error / found.gamma.value < 0.2 < min(relative.values())


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
    with pytest.raises(ParameterError, match="at least 8 points"):
        collapse(points.where(points.temperature < 0.0051))


def test_sizes_that_share_no_part_of_the_curve_do_not_collapse() -> None:
    points = synthetic(np.random.default_rng(6))
    apart = Points(points.length, np.where(points.length > 64, 1e9, 1.0) * points.temperature, points.value, points.error)
    found = collapse(apart.where((points.length == 64) | (points.length == 128)), replicas=0)
    assert not found.holds
    assert "share no part" in found.objection or "so large" in found.objection
