"""Mean-field theory: closed forms, limits and conservation laws of eqs. 24-37 of the SI."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_bvp, solve_ivp
from scipy.optimize import brentq

from mpiepm.theory import mean_field, noninteracting
from mpiepm.theory.relaxation import persistence, relaxation, relaxation_time
from mpiepm.theory.report import report
from mpiepm.theory.stationary import Drop, axis, barrier, density_after_event, effective_barrier, stationary

ALPHA = 0.11014


def test_coupling_of_a_kernel_in_closed_form() -> None:
    angles = (np.arange(12) + 0.5) * (0.5 * np.pi / 12)
    kernels = np.zeros((12, 6, 4), dtype=np.float32)
    kernels[:, 0, 0] = -1.0
    kernels[:, 1, 2] = np.cos(4 * angles)  # mean square 1/2
    kernels[:, 5, 3] = 0.5
    assert mean_field.coupling(kernels) == pytest.approx(0.5 * (0.5 + 0.25), rel=1e-6)
    assert mean_field.coupling(kernels, mean_drop=2.0) == pytest.approx(2.0 * (0.5 + 0.25), rel=1e-6)


def test_low_temperature_density_is_normalised_and_solves_its_equation() -> None:
    edge = mean_field.edge_of_coupling(ALPHA)
    s = np.linspace(-1.0, 1.0, 20001)
    p = mean_field.low_temperature_density(s, ALPHA)
    assert np.trapezoid(p, s) == pytest.approx(1.0, abs=1e-7)
    assert np.all(p[np.abs(s) > edge] == 0.0)
    np.testing.assert_allclose(p, p[::-1], atol=1e-13)
    h = 1e-3
    inner = np.linspace(0.01, edge - 0.01, 50)
    curvature = np.diff([mean_field.low_temperature_density(inner + k * h, ALPHA) for k in (-1, 0, 1)], n=2, axis=0)[0] / h**2
    source = np.exp(inner - 1.0) / (2.0 * (1.0 - math.exp(-1.0)))
    np.testing.assert_allclose(ALPHA * curvature, -source, rtol=1e-6)
    slope = np.diff(mean_field.low_temperature_density(np.array([0.0, 1e-4]), ALPHA))[0] / 1e-4
    assert slope == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 0.04, 0.01])
@pytest.mark.parametrize("drop", ["truncated", "full"])
def test_stationary_state_conserves_mass_solves_its_equation_and_converges(drop: Drop, temperature: float) -> None:
    state = stationary(ALPHA, temperature, drop)
    cells = state.cells
    gain = density_after_event(cells, drop)
    assert cells.integral(gain) == pytest.approx(1.0, abs=1e-12)
    assert cells.integral(state.density) == pytest.approx(1.0, abs=1e-10)
    assert cells.integral(state.relative_rate * state.density) == pytest.approx(1.0, abs=1e-10)
    residual = ALPHA * cells.curvature(state.density) - state.relative_rate * state.density + gain
    assert cells.integral(np.abs(residual)) < 1e-6  # rounding in the second differences
    assert state.density.min() >= 0.0
    coarse, fine = stationary(ALPHA, temperature, drop, resolution=25), stationary(ALPHA, temperature, drop, resolution=200)
    assert state.relative_error < 1e-6
    assert state.yield_rate == pytest.approx(fine.yield_rate, rel=1e-6)
    # second order: the estimated error of the coarse solution is its error
    assert abs(coarse.yield_rate / fine.yield_rate - 1.0) == pytest.approx(coarse.relative_error, rel=0.05)


def test_stationary_yield_rate_by_collocation() -> None:
    """An independent method: fourth-order collocation on 0 < s < 1, with the exact solution beyond."""
    temperature = 0.04

    def equations(s: np.ndarray, v: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        density, slope, _ = v
        relative_rate = np.exp(-((1.0 - s) ** 1.5) / temperature - parameter[0])
        gain = np.exp(s - 1.0) / (2.0 * (1.0 - math.exp(-1.0)))
        return np.array([slope, (relative_rate * density - gain) / ALPHA, density])

    def ends(left: np.ndarray, right: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        decay = math.sqrt(ALPHA * math.exp(parameter[0]))
        return np.array([left[1], left[2], right[1] * decay + right[0], right[2] + right[0] * decay - 0.5])

    s = np.linspace(0.0, 1.0, 200)
    guess = np.array([1.0 - s, -np.ones_like(s), s - 0.5 * s**2])
    solution = solve_bvp(equations, ends, s, guess, p=[-6.0], tol=1e-8, max_nodes=20000)
    assert solution.success
    assert stationary(ALPHA, temperature).yield_rate == pytest.approx(math.exp(solution.p[0]), rel=2e-6)


def test_without_coupling_the_closed_form() -> None:
    temperature = 0.05
    for alpha, tolerance in [(0.0, 1e-5), (1e-10, 3e-5)]:
        state = stationary(alpha, temperature, "full")
        assert 1.0 / state.yield_rate == pytest.approx(noninteracting.inverse_yield_rate(temperature), rel=tolerance)
        chosen = np.searchsorted(state.stress, [0.02, 0.3, 0.8, 0.99, 1.5])
        expected = [noninteracting.stress_density(s, temperature) for s in state.stress[chosen]]
        np.testing.assert_allclose(state.density[chosen], expected, rtol=5 * tolerance)
        lags = np.array([0.1, 1.0, 3.0]) / state.yield_rate
        np.testing.assert_allclose(persistence(state, lags), noninteracting.persistence(lags, temperature), atol=tolerance)


def test_effective_barrier_is_the_derivative_of_the_yield_rate() -> None:
    temperature, d = 0.03, 0.05
    rates = [stationary(ALPHA, 1.0 / (1.0 / temperature + sign * d)).yield_rate for sign in (-1, 1)]
    by_difference = -math.log(rates[1] / rates[0]) / (2.0 * d)
    assert effective_barrier(stationary(ALPHA, temperature)) == pytest.approx(by_difference, rel=1e-5)


def low_temperature_yield_rate(temperature: float, alpha: float, exponent: float = 1.5) -> float:
    """Gamma at T -> 0 with its prefactor, per sweep; the paper gives the exponential alone (eq. 4). Relative error O(T).

    Gamma = e^(2 gamma_E) / alpha (T / E')^2 e^(-E / T),   E = (1 - sigma_bar) ** a,   E' = a (1 - sigma_bar) ** (a - 1).

    In a layer of width T / E' around sigma_bar, SI eq. 30 is alpha Gamma P'' = e^((E' (s - sigma_bar) - E) / T) P. Hence
    P ~ K_0(z), z = 2 T / (E' sqrt(alpha Gamma)) e^((E' (s - sigma_bar) - E) / 2T). For small z that is a straight line in s,
    0 where ln(z / 2) = -gamma_E; by eq. 32 this is at sigma_bar. So d(-ln Gamma) / d(1/T) = E + 2 T.
    """
    distance = 1.0 - mean_field.edge_of_coupling(alpha)
    slope = exponent * distance ** (exponent - 1.0)
    prefactor = math.exp(2.0 * float(np.euler_gamma)) / alpha * (temperature / slope) ** 2
    return float(prefactor * math.exp(-(distance**exponent) / temperature))


def test_low_temperature_limit() -> None:
    """E_act -> (1 - sigma_bar)^1.5 as 2 T, Gamma -> its asymptotic form as T, P(sigma) -> eq. 32."""
    energy = mean_field.activation_energy(ALPHA)
    assert energy == pytest.approx(0.1252, abs=1e-4)
    for temperature, error_rate, error_density in [(0.01, 0.15, 0.03), (0.005, 0.081, 0.015), (0.002, 0.035, 0.006)]:
        state = stationary(ALPHA, temperature, resolution=20)
        barrier_now = effective_barrier(state)
        assert barrier_now - energy == pytest.approx(2.0 * temperature, rel=0.08)
        assert abs(barrier_now - energy - 2.0 * temperature) < 18.0 * temperature**2
        ratio = state.yield_rate / low_temperature_yield_rate(temperature, ALPHA)
        assert abs(ratio - 1.0) < error_rate
        distance = np.abs(state.density - mean_field.low_temperature_density(state.stress, ALPHA))
        assert distance.max() < error_density
    assert mean_field.activation_stress(energy) == pytest.approx(mean_field.edge_of_coupling(ALPHA))
    # the full y has an edge of its own: alpha = 2/e (sigma_bar cosh sigma_bar - sinh sigma_bar)
    edge = brentq(lambda x: 2.0 / math.e * (x * math.cosh(x) - math.sinh(x)) - ALPHA, 0.1, 1.0)
    full = effective_barrier(stationary(ALPHA, 0.002, "full", resolution=20))
    assert full - 2.0 * 0.002 == pytest.approx((1.0 - edge) ** 1.5, abs=1e-4)


def test_a_rate_independent_of_stress_gives_an_exponential() -> None:
    state = stationary(ALPHA, 1e9, resolution=10)
    lags = np.array([0.0, 1e-6, 0.1, 1.0, 5.0, 20.0])
    np.testing.assert_allclose(persistence(state, lags), np.exp(-lags), atol=1e-9)
    assert relaxation_time(state) == pytest.approx(math.log(2.0), rel=1e-7)


def test_persistence_falls_from_one_with_the_slope_of_the_yield_rate() -> None:
    state = stationary(ALPHA, 0.04, resolution=25)
    p = persistence(state, np.concatenate([[0.0, 1e-3], np.geomspace(0.1, 1e5, 30)]))
    assert p[0] == pytest.approx(1.0, abs=1e-9)
    assert (p[0] - p[1]) / 1e-3 == pytest.approx(state.yield_rate, rel=1e-3)
    assert np.all(np.diff(p) < 1e-9)
    assert p[-1] == pytest.approx(0.0, abs=1e-9)
    assert persistence(state, np.array([relaxation_time(state)]))[0] == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize(("temperature", "drop"), [(0.1, "full"), (0.02, "truncated")])
def test_relaxation_conserves_mass_and_ends_in_the_stationary_state(temperature: float, drop: Drop) -> None:
    state = stationary(ALPHA, temperature, drop, resolution=20)
    run = relaxation(ALPHA, temperature, np.concatenate([[0.0], np.geomspace(0.01, 100.0 / state.yield_rate, 20)]), drop=drop)
    mass = [run.cells.integral(p) for p in run.density]
    np.testing.assert_allclose(mass, 1.0, atol=1e-10)
    assert run.yield_rate[-1] == pytest.approx(state.yield_rate, rel=1e-9)
    np.testing.assert_allclose(run.density[-1], state.density, atol=1e-9)


def test_relaxation_against_a_general_solver() -> None:
    temperature = 0.1
    cells = axis(temperature, 4)
    rate, gain = np.exp(-barrier(cells.stress) / temperature), density_after_event(cells, "truncated")
    times = np.array([0.0, 0.3, 1.0, 3.0, 10.0, 50.0])
    run = relaxation(ALPHA, temperature, times, width=0.7, resolution=4, tolerance=1e-7)

    def derivative(_: float, p: np.ndarray) -> np.ndarray:
        return cells.integral(rate * p) * (ALPHA * cells.curvature(p) + gain) - rate * p

    solution = solve_ivp(derivative, (0.0, 50.0), run.density[0], "BDF", times, rtol=1e-7, atol=1e-10)
    expected = [cells.integral(rate * p) for p in solution.y.T]
    np.testing.assert_allclose(run.yield_rate, expected, rtol=1e-5)
    variance = cells.integral(cells.stress**2 * run.density[0])
    assert variance == pytest.approx(0.49, rel=1e-2)


def test_a_report_has_three_lines_for_each_temperature_and_bad_input_is_refused() -> None:
    lines = report(ALPHA, [0.1, 0.05]).splitlines()
    assert [line.split()[1] for line in lines[-6:]] == ["truncated", "full", "isolated"] * 2
    assert float(lines[-1].split()[3]) == pytest.approx(noninteracting.inverse_yield_rate(0.05), rel=1e-4)
    with pytest.raises(ValueError, match="temperature"):
        stationary(ALPHA, 1e-4)
    with pytest.raises(ValueError, match="drop"):
        stationary(ALPHA, 0.1, "half")  # type: ignore[arg-type]
