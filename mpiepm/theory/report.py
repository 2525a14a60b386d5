"""The mean-field theory of EPM-Q in figures: a table as text, with and without elasticity."""

from collections.abc import Sequence

import numpy as np

from mpiepm.theory import mean_field, noninteracting
from mpiepm.theory.relaxation import half_time, relaxation, relaxation_time
from mpiepm.theory.stationary import Drop, effective_barrier, stationary

HEADER = f"{'T':>8} {'y':>10} {'Gamma':>12} {'1/Gamma':>12} {'tau_alpha':>12} {'E_act':>9} {'sigma_act':>9}"


def _without_elasticity(temperature: float) -> tuple[float, float]:
    """1 / Gamma and tau_alpha in closed form, sweeps."""
    inverse = noninteracting.inverse_yield_rate(temperature)
    time = half_time(lambda lag: float(noninteracting.persistence(np.array([lag]), temperature)[0]), 1.0 / inverse)
    return inverse, time


def _row(temperature: float, label: str, inverse: float, time: float) -> str:
    return f"{temperature:8g} {label:>10} {1.0 / inverse:12.5g} {inverse:12.5g} {time:12.5g}"


def report(alpha: float, temperatures: Sequence[float]) -> str:
    """Gamma, tau_alpha, E_act = d(-ln Gamma) / d(1/T) and the stress with that barrier, by mean field and without elasticity.

    Three lines per temperature: mean field with the truncated y (SI eq. 29), with the full one, and the closed form without
    elasticity.
    """
    edge, energy = mean_field.edge_of_coupling(alpha), mean_field.activation_energy(alpha)
    lines = [
        f"alpha = {alpha:.5g}: at T -> 0, sigma_bar = {edge:.4f}, E_act = (1 - sigma_bar)^1.5 = {energy:.4f} (truncated y)",
        "units sigma_c = sigma_0 = tau_0 = 1: times in sweeps; isolated: without elasticity, full y",
        "",
        HEADER,
    ]
    drops: tuple[Drop, ...] = ("truncated", "full")
    for temperature in temperatures:
        for drop in drops:
            state = stationary(alpha, temperature, drop)
            barrier = effective_barrier(state)
            row = _row(temperature, drop, 1.0 / state.yield_rate, relaxation_time(state))
            lines.append(f"{row} {barrier:9.4f} {mean_field.activation_stress(barrier):9.4f}")
        lines.append(_row(temperature, "isolated", *_without_elasticity(temperature)))
    return "\n".join(lines)


def relaxation_report(alpha: float, temperatures: Sequence[float], width: float) -> str:
    """Gamma(t) on the way from a Gaussian of standard deviation `width` to the stationary state, in 12 steps of log t."""
    lines = [f"alpha = {alpha:.5g}, Gaussian start of standard deviation {width:g}: sweeps, yield rate"]
    for temperature in temperatures:
        end = stationary(alpha, temperature).yield_rate
        path = relaxation(alpha, temperature, np.geomspace(0.1, 100.0 / end, 12), width)
        lines += ["", f"T = {temperature:g}, stationary {end:.5g}"]
        lines += [f"{time:14.5g} {rate:12.5g}" for time, rate in zip(path.times, path.yield_rate, strict=True)]
    return "\n".join(lines)
