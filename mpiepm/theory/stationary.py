"""Mean-field theory of EPM-Q at finite temperature: the stationary state (Ozawa & Biroli 2023, SI eqs. 24, 27-30).

    alpha Gamma P'' - nu(s) P + Gamma y(s) = 0,   int P = 1,   Gamma = int nu P

in units sigma_c = sigma_0 = tau_0 = 1. The integral of the equation over all s says Gamma = int nu P; so Gamma is the number
for which its solution has int P = 1. That mass grows with Gamma, and Gamma lies between the smallest rate, e^(-1/T), and 1.

Finite volumes on s > 0 (P is even), second order. The equation is divided by Gamma: only nu / Gamma = e^(-dE/T - ln Gamma)
occurs, so a Gamma of 1e-30 is as good as one of 1.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.linalg import solve_banded
from scipy.optimize import brentq

Drop = Literal["truncated", "full"]  # y(s): cut at |s| = 1 (SI eq. 29), or that of the simulation, which goes on beyond

LOWEST_TEMPERATURE = 0.0015  # below, e^(1/T) overflows
FARTHEST = 40.0  # last edge: beyond |s| = 1, P falls as e^(-(|s| - 1) / sqrt(alpha Gamma)), the full y as e^-|s|
STRETCH = 0.1  # distance beyond |s| = 1 over which the width of a cell doubles


@dataclass(frozen=True)
class Axis:
    """Cells that cover 0 < s < FARTHEST: equal ones up to s = 1, an edge, then wider in proportion to the distance."""

    edges: np.ndarray  # (n + 1,)
    stress: np.ndarray  # (n,) centres
    width: np.ndarray  # (n,)

    def integral(self, values: np.ndarray) -> float:
        """Integral over both signs of an even function with cell means `values` (n,)."""
        return 2.0 * float(self.width @ values)

    def curvature(self, density: np.ndarray) -> np.ndarray:
        """P'' (n,) from fluxes through the edges, none through the first (P even) and the last."""
        flux = np.diff(density) / np.diff(self.stress)
        return np.asarray(np.diff(flux, prepend=0.0, append=0.0) / self.width)

    def solve(self, diffusion: float, loss: np.ndarray, source: np.ndarray) -> np.ndarray:
        """P of loss P - diffusion P'' = source, loss (n,), source (n,) or (n, k): like source. All may be complex."""
        conductance = diffusion / np.diff(self.stress)
        bands = np.zeros((3, len(loss)), dtype=loss.dtype)
        bands[0, 1:] = -conductance / self.width[:-1]
        bands[2, :-1] = -conductance / self.width[1:]
        bands[1] = loss
        bands[1, :-1] -= bands[0, 1:]
        bands[1, 1:] -= bands[2, :-1]
        return np.asarray(solve_banded((1, 1), bands, source))


def axis(temperature: float, resolution: float) -> Axis:
    """Cells of width min(T, 0.05) / resolution below s = 1: the layer around sigma_bar has the width T / 0.75."""
    inner = math.ceil(resolution / min(temperature, 0.05))
    outer = math.ceil(STRETCH * math.log1p((FARTHEST - 1.0) / STRETCH) * inner)
    beyond = 1.0 + STRETCH * np.expm1(np.arange(1, outer + 1) / (inner * STRETCH))
    edges = np.concatenate([np.arange(inner + 1) / inner, beyond])
    return Axis(edges, 0.5 * (edges[1:] + edges[:-1]), np.diff(edges))


def barrier(stress: np.ndarray, exponent: float = 1.5) -> np.ndarray:
    """dE = (1 - |s|) ** a, 0 beyond |s| = 1, so that nu = e^(-dE/T) everywhere (SI eq. 28)."""
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(stress)) ** exponent)


def density_after_event(cells: Axis, drop: Drop) -> np.ndarray:
    """Cell means of y (n,), per unit stress.

    truncated : e^(|s| - 1) / (2 (1 - 1/e)) for |s| < 1 (SI eq. 29)
    full : 1/2 [e^(-(1 - s)) (s < 1) + e^(-(1 + s)) (s > -1)] = cosh(s) / e for |s| < 1, e^-|s| / 2e beyond
    """
    if drop not in get_args(Drop):
        raise ValueError(f"drop = {drop!r}: must be one of {', '.join(get_args(Drop))}")
    inside, e = np.minimum(cells.edges, 1.0), math.exp(-1.0)
    if drop == "truncated":
        cumulative = (np.exp(inside - 1.0) - e) / (2.0 * (1.0 - e))
    else:
        cumulative = e * np.sinh(inside) + 0.5 * e * (e - np.exp(-np.maximum(cells.edges, 1.0)))
    cumulative[-1] = 0.5  # with all that lies beyond
    return np.asarray(np.diff(cumulative) / cells.width)


@dataclass(frozen=True)
class Stationary:
    """The stationary state; int P = 1 and int nu P = Gamma hold on its cells to 1e-10."""

    alpha: float
    temperature: float
    cells: Axis
    density: np.ndarray  # P (n,), per unit stress
    yield_rate: float  # Gamma, per sweep
    relative_error: float  # of Gamma: a third of the change from cells twice as wide
    relative_rate: np.ndarray  # nu / Gamma (n,)

    @property
    def stress(self) -> np.ndarray:
        """Centres of the cells (n,), s > 0."""
        return self.cells.stress


def _solve(alpha: float, cells: Axis, log_rate: np.ndarray, source: np.ndarray) -> tuple[float, np.ndarray]:
    """ln Gamma and P, of mass 1, on the cells."""

    def density(log_yield_rate: float) -> np.ndarray:
        loss = np.exp(log_rate - log_yield_rate)
        first = cells.solve(alpha, loss, source)
        residual = source - loss * first + alpha * cells.curvature(first)  # rounding in the matrix loses mass: refine once
        return np.asarray(first + cells.solve(alpha, loss, residual))

    def excess(log_yield_rate: float) -> float:
        return math.log(cells.integral(density(log_yield_rate)))

    log_yield_rate = float(brentq(excess, log_rate[0] - 1.0, 1.0, xtol=1e-13))
    return log_yield_rate, density(log_yield_rate)


def stationary(alpha: float, temperature: float, drop: Drop = "truncated", resolution: float = 100.0) -> Stationary:
    """Solve for P and Gamma; relative error of Gamma for alpha = 0.11 is 1e-2 / resolution^2, by default 1e-6.

    alpha : coupling, D = alpha Gamma; 0 is without elasticity, P = Gamma y / nu, and the error 0.1 / resolution^2
    drop : density after an event
    resolution : cells per min(T, 0.05); their number, hence time, goes as resolution / T

    Raises
    ------
    ValueError : alpha < 0, T < LOWEST_TEMPERATURE or an unknown drop
    """
    if alpha < 0.0 or temperature < LOWEST_TEMPERATURE:
        raise ValueError(f"alpha = {alpha}, temperature = {temperature}: must be at least 0 and {LOWEST_TEMPERATURE}")
    logs = []
    for cells in (axis(temperature, 0.5 * resolution), axis(temperature, resolution)):
        log_rate = -barrier(cells.stress) / temperature
        log_yield_rate, density = _solve(alpha, cells, log_rate, density_after_event(cells, drop))
        logs.append(log_yield_rate)
    return Stationary(
        alpha, temperature, cells, density, math.exp(logs[1]), abs(logs[1] - logs[0]) / 3.0, np.exp(log_rate - logs[1])
    )  # fmt: skip


def effective_barrier(state: Stationary) -> float:
    """E_act = d(-ln Gamma) / d(1/T), exactly: the mean barrier, weighted with q nu P.

    q(s), from alpha q'' - (nu / Gamma) q + 1 = 0, is Gamma times the mean time until a site at s has its next event. It is the
    response of int P to a source at s, so int P stays 1 if int q P d(nu / Gamma) = 0, where
    d(nu / Gamma) = -(nu / Gamma) (dE d(1/T) + d ln Gamma).
    """
    weight = state.relative_rate * state.density
    weight *= state.cells.solve(state.alpha, state.relative_rate, np.ones_like(weight))
    return float(state.cells.integral(weight * barrier(state.stress)) / state.cells.integral(weight))
