"""What the paper says and what comes out: a Markdown table."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from runs import SPEEDS, WINDOWS, State, displacement_correlation, pick, speeds, states

from mpiepm.analysis import tracers
from mpiepm.analysis.estimators import activation_energy
from mpiepm.analysis.structure_factor import Collapse, collapse
from mpiepm.theory import random_walk


def table(found: list[State], out: Path) -> None:
    """Print and keep it beside the figures."""
    lines = ["| paper | here |", "|---|---|", *(f"| {says} | {ours} |" for says, ours in rows(found)), "", *values(found)]
    lines += ["", *presets(found[0].run.folder.parents[2])]
    out.mkdir(parents=True, exist_ok=True)
    (out / "numbers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def rows(found: list[State]) -> Iterator[tuple[str, str]]:
    """Statement, numbers."""
    cold = [s for s in found if s.thermal and s.temperature < 0.11]
    t, a, error = (np.array(x) for x in zip(*((s.temperature, s.activity.value, s.activity.error) for s in cold), strict=True))
    yield "activity ~ exp(-0.48 / T) at low T", f"energy {activation_energy(t, 1 / a, error / a**2)} for T <= 0.1"
    for name, says in (
        ("I", "n = 1.125, gamma = 1.8, alpha = 0.07"), ("II", "n = 2.3, gamma = 0.86, alpha = 0.0015"),
        ("III", "n = 2, gamma = 1, alpha = 0.1"),
    ):  # fmt: skip
        temperature, window, q_window = WINDOWS[name]
        state = pick(found, temperature)
        yield f"regime {name} (T = {state.temperature:g}): {says}", str(fitted(state, window, q_window))
    for state in states(found[0].run.folder.parents[2], ("long",)):
        for window in ((20.0, 120.0), (60.0, 400.0), (200.0, 2000.0)):
            name = f"{state.label}: regime III, t = {window[0]:g} ... {window[1]:g}"
            yield name, str(fitted(state, window, WINDOWS["III"][2]))
    for state in (s for s in found if s.thermal and s.temperature < 0.08):
        fixed, scaled = (10.0, 1000.0), (0.02 / state.activity.value, 2.0 / state.activity.value)
        for window in (fixed, scaled) if state.temperature < 0.06 else (fixed,):
            name = f"{state.label}: regime II, t = {window[0]:.3g} ... {window[1]:.3g}"
            yield name, str(fitted(state, window, WINDOWS["II"][2]))
    for state in found:
        root = np.sqrt(state.activity.value)
        small, large = (tracers.power_law(speeds(state), SPEEDS, (a * root, b * root)) for a, b in ((0.01, 0.15), (2.0, 5.0)))
        yield (
            f"{state.label}: P(u) ~ u for small u, ~ u^-3 for large u",
            f"{small} for 0.01 ... 0.15 sqrt(a), {large} for 2 ... 5 sqrt(a)",
        )
    for state in (s for s in found if s.thermal and s.temperature < 0.11):
        time, psi = state.waiting_times
        scaled = state.activity.value * time
        some = (scaled > 0.02) & (scaled < 0.5) & (time > 5.0)  # beyond the duration of an event
        slope = np.polyfit(np.log(time[some]), np.log(psi[some]), 1)[0] if some.sum() > 1 else np.nan
        yield f"{state.label}: psi ~ tau_ev^(-2/3)", f"slope {slope:.3f} for a tau_ev = 0.02 ... 0.5"
        yield f"{state.label}: N(s) ~ s^(-5/3)", walk(state)
        times, value = displacement_correlation(state)
        k = int(np.argmin(value.value))
        yield f"{state.label}: C_u negative", f"{value.value[k]:.3f} +- {value.error[k]:.3f} at t = {times[k]:g}"
    for state in found:
        times = state.lags * state.interval
        squares = state.pooled(partial(tracers.mean_square_displacement, lags=state.lags))
        d = tracers.diffusion(squares, times).value
        k = int(np.argmax(d))
        yield (
            f"{state.label}: subdiffusion in the thermal, not in the random model",
            f"largest D {d[k]:.3g} at t = {times[k]:.3g}, D = {d[-1]:.3g} at t = {times[-1]:.3g}: ratio {d[-1] / d[k]:.2f}",
        )


def fitted(state: State, window: tuple[float, float], q_window: tuple[float, float]) -> Collapse:
    """S(q, t) as a stretched exponential, in a window of times and one of wave numbers."""
    factor = state.structure(window, q_window)
    return collapse(factor.square, factor.times, factor.q, window, q_window)


def walk(state: State) -> str:
    """Where the local slope of N(s) is about -4/3 and -5/3."""
    counts = state.counts("exchange").sum(axis=0)
    if not counts.any():
        return "no waiting times"
    s = np.geomspace(1e-2, 1e4, 241) * state.activity.value
    slope = random_walk.events_slope(state.run.data["waiting_times/edges"], counts, s)
    found = [f"flattest {slope.max():.3f} at s = {s[np.argmax(slope)] / state.activity.value:.3g} a"]
    for exponent, name in ((-4 / 3, "-4/3"), (-5 / 3, "-5/3")):
        near = s[np.abs(slope - exponent) < 0.05]
        found.append(f"within 0.05 of {name} over {len(near) / 40:.2g} decades")
    return ", ".join(found)


def values(found: list[State]) -> Iterator[str]:
    """Table of all runs."""
    yield "| run | L | activity | events per site and time / a | stress variance | kurtosis |"
    yield "|---|---|---|---|---|---|"
    for s in found:
        identity = s.mean("yield_rate").value / s.activity.value
        variance, kurtosis = (s.mean(f"stress_{name}") for name in ("variance", "kurtosis"))
        yield f"| {s.label} | {s.length} | {s.activity} | {identity:.4f} | {variance} | {kurtosis} |"


def presets(runs: Path) -> Iterator[str]:
    """The three readings of the model side by side."""
    yield "| reading | T | activity | regime | gamma | n | alpha |"
    yield "|---|---|---|---|---|---|---|"
    for series in ("thermal", "unit-response", "fitted-activity"):
        for state in states(runs, (series,)):
            for name, (temperature, window, q_window) in WINDOWS.items():
                if state.temperature == temperature:
                    fit = fitted(state, window, q_window)
                    cells = f"{fit.shape} | {fit.wave_exponent} | {fit.prefactor}"
                    reading = "literal" if series == "thermal" else series
                    yield f"| {reading} | {temperature:g} | {state.activity} | {name} | {cells} |"
