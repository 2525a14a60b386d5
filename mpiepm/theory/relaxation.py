"""Mean-field theory of EPM-Q in time (Ozawa & Biroli 2023, SI eq. 24): the way to the stationary state, and persistence in it.

relaxation : dP/dt = alpha Gamma(t) P'' - nu(s) P + Gamma(t) y(s), Gamma(t) = int nu P, from a Gaussian
persistence : dP/dt = alpha Gamma P'' - nu(s) P from the stationary P, without gain; what is left has had no event

Units sigma_c = sigma_0 = tau_0 = 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

from mpiepm.theory.stationary import Axis, Drop, Stationary, axis, barrier, density_after_event

# RODAS3 (Sandu et al. 1997): Rosenbrock, order 3, L-stable; the last stage alone is its difference from the solution of order 2
DIAGONAL = 0.5
STAGE = np.array([[0, 0, 0], [0, 0, 0], [2, 0, 0], [2, 0, 1]], dtype=float)
COUPLED = np.array([[0, 0, 0], [4, 0, 0], [1, -1, 0], [1, -1, -8 / 3]], dtype=float)
WEIGHT = np.array([2.0, 0.0, 1.0, 1.0])

NODES = 12  # of the contour in the upper half plane: error 2.85^-24 = 1e-11


@dataclass(frozen=True)
class Relaxation:
    """P and Gamma on the way to the stationary state."""

    times: np.ndarray  # (m,), sweeps
    cells: Axis
    density: np.ndarray  # (m, n), per unit stress
    yield_rate: np.ndarray  # (m,), per sweep


class _Equation:
    """SI eq. 24 on cells: dP/dt = Gamma(P) (alpha P'' + y) - nu P, and linear systems with its derivative."""

    def __init__(self, alpha: float, temperature: float, drop: Drop, cells: Axis):
        self.alpha = alpha
        self.cells = cells
        self.rate = np.exp(-barrier(cells.stress) / temperature)
        self.gain = density_after_event(cells, drop)

    def yield_rate(self, density: np.ndarray) -> float:
        """int nu P."""
        return self.cells.integral(self.rate * density)

    def step(self, density: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """P after one step and its error estimate, both (n,).

        The derivative is tridiagonal plus (alpha P'' + y) int nu . , of rank one. As it conserves mass, so does its inverse on
        right-hand sides without mass: the amount of the rank-one part follows from that alone.
        """
        rate = self.yield_rate(density)
        shift = 1.0 / (DIAGONAL * step)
        response = self.alpha * self.cells.curvature(density) + self.gain
        stages: list[np.ndarray] = []
        for a, c in zip(STAGE, COUPLED, strict=True):
            at = density + sum(x * k for x, k in zip(a, stages, strict=False))
            right = self.yield_rate(at) * (self.alpha * self.cells.curvature(at) + self.gain) - self.rate * at
            right += sum(x * k for x, k in zip(c, stages, strict=False)) / step
            both = self.cells.solve(self.alpha * rate, shift + self.rate, np.stack([right, response], axis=1))
            stages.append(both[:, 0] - both[:, 1] * self.cells.integral(both[:, 0]) / self.cells.integral(both[:, 1]))
        return density + sum(x * k for x, k in zip(WEIGHT, stages, strict=True)), stages[-1]

    def size(self, error: np.ndarray, density: np.ndarray) -> float:
        """Largest of the errors of mass, int |error|, and of Gamma, relative."""
        error = np.abs(error)
        return max(self.cells.integral(error), self.yield_rate(error) / self.yield_rate(density))


def relaxation(
    alpha: float, temperature: float, times: np.ndarray, width: float = 1.0, drop: Drop = "truncated",
    resolution: float = 20.0, tolerance: float = 1e-5,
) -> Relaxation:  # fmt: skip
    """Solve SI eq. 24 from P = N(0, width^2) at t = 0, at the times (m,), ascending, sweeps.

    Mass is conserved to rounding. The late Gamma is that of `stationary` at the same resolution.

    resolution : cells per min(T, 0.05)
    tolerance : error per step, of P (int |error|) and of Gamma (relative)
    """
    cells = axis(temperature, resolution)
    equation = _Equation(alpha, temperature, drop, cells)
    cumulative = 0.5 * erf(cells.edges / (width * math.sqrt(2.0)))
    cumulative[-1] = 0.5
    density = np.diff(cumulative) / cells.width
    time, step = 0.0, 1e-3
    densities = []
    for target in times:
        while time < target:
            last = time + step >= target
            tried = target - time if last else step
            new, error = equation.step(density, tried)
            size = equation.size(error, density) / tolerance
            if size <= 1.0:
                time, density = (target if last else time + tried), new
            if size > 1.0 or not last:
                step = tried * min(5.0, max(0.2, 0.9 * max(size, 1e-12) ** (-1.0 / 3.0)))
        densities.append(density)
    rates = np.array([equation.yield_rate(p) for p in densities])
    return Relaxation(np.asarray(times, dtype=float), cells, np.array(densities), rates)


def persistence(state: Stationary, lags: np.ndarray) -> np.ndarray:
    """Stationary P(t) at the lags t (m,), sweeps: (m,).

    In units of 1 / Gamma the equation is dP/dt = A P, A self-adjoint and negative. e^(tA) = 1/(2 pi i) int e^z (z - tA)^-1 dz
    on the parabola z = n (0.1309 - 0.1194 theta^2 + 0.25 i theta), by the midpoint rule with n nodes in -pi < theta < pi
    (Trefethen, Weideman & Schmelzer 2006): exact in time to 1e-10 however stiff A is.
    """
    theta = (np.arange(NODES) + 0.5) * math.pi / NODES
    z = 2 * NODES * (0.1309 - 0.1194 * theta**2 + 0.25j * theta)
    weight = np.exp(z) * (0.25 + 0.2388j * theta)  # e^z dz / (2 pi i)
    values = []
    for lag in lags:
        value = 0.0
        scaled = float(lag) * state.yield_rate
        for point, w in zip(z, weight, strict=True):
            loss = point + scaled * state.relative_rate
            left = state.cells.solve(scaled * state.alpha, loss, state.density.astype(complex))
            value += 2.0 * state.cells.integral((w * left).real)
        values.append(value)
    return np.array(values)


def half_time(persistence_at: Callable[[float], float], yield_rate: float) -> float:
    """tau_alpha, sweeps: P(tau_alpha) = 1/2.

    At least 1 / (2 Gamma), as P(t) >= 1 - Gamma t; without elasticity about 1 / (T Gamma), less with it.
    """
    lowest = -math.log(2.0 * yield_rate)
    return math.exp(brentq(lambda log_lag: persistence_at(math.exp(log_lag)) - 0.5, lowest - 0.1, lowest + 8.0, xtol=1e-8))


def relaxation_time(state: Stationary) -> float:
    """tau_alpha of the mean field, sweeps."""
    return half_time(lambda lag: float(persistence(state, np.array([lag]))[0]), state.yield_rate)
