"""The figures of Ferrero, Martens & Barrat (2014), from the archives that `mpiepm campaign run` leaves.

    python run/ferrero_martens_barrat_2014/figures.py [NAME ...] [--runs DIR] [--out DIR]

NAME: 1, 2, 3 as in the paper; animation: the displacement field with its tracers; numbers: what the paper says and what comes
out. Default: all of them, as PNG and PDF.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import statements
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from runs import SPEEDS, WINDOWS, State, displacement_correlation, pick, speeds, states

from mpiepm.analysis import tracers
from mpiepm.analysis.structure_factor import collapse
from mpiepm.engine.layout import slabs
from mpiepm.kernels import picard
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation
from mpiepm.theory import random_walk

GRAY = "#888888"
mpl.rcParams.update({"font.size": 9, "legend.fontsize": 7, "legend.frameon": False, "xtick.direction": "in",
                     "ytick.direction": "in", "savefig.dpi": 120})  # fmt: skip


def colour(state: State) -> object:
    """From dark (hot) to light (cold); the random model is gray."""
    if not state.thermal:
        return GRAY
    return mpl.colormaps["viridis"](0.9 * np.log(0.2 / state.temperature) / np.log(5.0))


def dashes(state: State) -> str:
    """Full at L = 256, dashed on the larger lattice."""
    return "--" if state.length > 256 else "-"


def save(figure: Figure, out: Path, name: str) -> None:
    """As PNG and PDF."""
    out.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(out / f"{name}.{suffix}")
    print(out / f"{name}.png", flush=True)


def figure_1(found: list[State], out: Path) -> None:
    """Three simultaneous events: change of stress, displacements; and trajectories of tracers at T = 0.1."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    g, ux, uy = (sum(sign * np.roll(kernel, place, axis=(0, 1)) for *place, sign in ((16, 20, 1), (44, 30, 1), (30, 50, -1)))
                 for kernel in picard.real_space((64, 64)))  # fmt: skip
    left.imshow(g.T, cmap="RdBu_r", vmin=-0.1, vmax=0.1, origin="lower")
    size = np.hypot(ux, uy)
    some = (slice(None, None, 3), slice(None, None, 3))
    x, y = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    scale = np.maximum(size, 1e-9) ** 0.6  # shortens the long ones
    left.quiver(x[some], y[some], (ux / scale)[some], (uy / scale)[some], scale=14, width=0.003)
    left.set(title="stress change, displacements", xlabel="$x$", ylabel="$y$")
    positions = pick(found, 0.1).positions
    for tracer in range(min(12, positions.shape[1])):
        path = positions[:, tracer] - positions[0, tracer]
        right.plot(*(path[:: max(1, len(path) // 3000)] + 2.0 * np.array([tracer % 4, tracer // 4])).T, lw=0.5)
    right.set(title="tracers, $T$ = 0.1", xlabel="$x$", ylabel="$y$", aspect="equal")
    save(figure, out, "figure-1")


def _collapsed(ax: Axes, state: State, regime: str) -> None:
    """S against q^n t with the fit, the raw curves inset."""
    _, window, q_window = WINDOWS[regime]
    factor = state.structure(window, q_window)
    mean = factor.square.mean()
    fit = collapse(factor.square, factor.times, factor.q, window, q_window)
    n, gamma, alpha = (e.value for e in (fit.wave_exponent, fit.shape, fit.prefactor))
    inset = ax.inset_axes((0.08, 0.1, 0.42, 0.42))
    for k, q in enumerate(factor.q):
        shade = mpl.colormaps["plasma"](0.9 * k / len(factor.q))
        inset.semilogx(factor.times, mean[:, k], color=shade, lw=0.7)
        if np.isfinite(n):
            ax.semilogx(q**n * factor.times, mean[:, k], ".", ms=3, color=shade)
    if np.isfinite(n):
        x = np.geomspace(*np.array([factor.q.min() ** n * window[0], factor.q.max() ** n * window[1]]), 200)
        ax.semilogx(x, np.exp(-alpha * x**gamma), "k--", lw=1)
    inset.tick_params(labelsize=6)
    inset.xaxis.set_major_locator(mpl.ticker.LogLocator(numticks=3))
    inset.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    inset.set_xlabel("$t$", fontsize=6, labelpad=0)
    ax.set(title=f"{state.label}, {regime}: $n$ = {n:.3g}, $\\gamma$ = {gamma:.3g}", xlabel="$q^n t$", ylabel="$S(q, t)$",
           ylim=(0, 1.02))  # fmt: skip


def figure_2(found: list[State], out: Path) -> None:
    """D(t) of both models; S(q, t) in the three regimes."""
    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    for state in found:
        lags = state.lags
        times = lags * state.interval
        value = tracers.diffusion(state.pooled(partial(tracers.mean_square_displacement, lags=lags)), times)
        a.errorbar(times, value.value, value.error, color=colour(state), ls=dashes(state), lw=1, elinewidth=0.5,
                   label=state.label if state.thermal else None)  # fmt: skip
        if not state.thermal:
            velocity = random_walk.velocity_square(state.activity.value, 0.5, mean_kernel_square(state.length))
            a.plot(times, random_walk.diffusion(times, velocity, step=0.1), "k:", lw=0.7)
    a.set(xscale="log", yscale="log", xlabel=r"$t$ ($\tau$)", ylabel="$D(t)$")
    a.legend(loc="lower left")
    for ax, regime in ((b, "I"), (c, "II"), (d, "III")):
        _collapsed(ax, pick(found, WINDOWS[regime][0]), regime)
    save(figure, out, "figure-2")


def mean_kernel_square(length: int) -> float:
    """sum |U|^2, averaged over the places between the nodes: bilinear interpolation takes some of it away."""
    _, ux, uy = picard.real_space((length, length))
    c = 2.0 + np.cos(2 * np.pi * np.fft.fftfreq(length))
    power = np.abs(np.fft.fft2(ux)) ** 2 + np.abs(np.fft.fft2(uy)) ** 2
    return float((power * c[:, None] * c[None, :] / 9.0).sum()) / length**2


def figure_3(found: list[State], out: Path) -> None:
    """P(u), psi(tau_ev), C_u(t) with the random walk, C_sigma(t): rescaled by the activity."""
    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    insets = [ax.inset_axes(place) for ax, place in zip((a, b, c, d), ((0.07, 0.08, 0.4, 0.4), (0.07, 0.08, 0.4, 0.4),
              (0.5, 0.5, 0.46, 0.46), (0.07, 0.08, 0.4, 0.4)), strict=True)]  # fmt: skip
    for state in found:
        style = {"color": colour(state), "ls": dashes(state), "lw": 1, "label": state.label}
        root = np.sqrt(state.activity.value)
        share = speeds(state).mean()
        middle, density = np.sqrt(SPEEDS[1:] * SPEEDS[:-1]), share / np.diff(SPEEDS)
        a.loglog(middle / root, density * root, **style)
        insets[0].loglog(middle, density, **style)
        bins, density = state.waiting_times
        b.loglog(state.activity.value * bins, density / state.activity.value, **style)
        insets[1].loglog(bins, density, **style)
        times, correlation = displacement_correlation(state)
        c.plot(times, correlation.value, **style)
        s = np.geomspace(1e-2, 10.0, 40) * state.activity.value
        counts = state.counts("exchange").sum(axis=0)
        known = counts > 0
        walk_edges = state.run.data["waiting_times/edges"] if known.any() else np.array([0.5, 1.5])
        walk = random_walk.events(walk_edges, counts if known.any() else np.array([1]), s)
        insets[2].loglog(s / state.activity.value, walk * state.activity.value, **style)
        if state.thermal:  # without a threshold the stress of the random model goes on growing
            lags = state.run.data["correlations/lag"]
            sums = [sum(run.data[f"correlations/stress_{name}"][0] for run in state.runs) for name in ("product", "square")]
            d.semilogx(state.activity.value * lags, sums[0] / sums[1], **style)
            insets[3].semilogx(lags, sums[0] / sums[1], **style)
    x = np.array([2.0, 30.0])
    a.plot(x, 3.0 * x**-3, "k:", lw=0.8)
    x = np.array([0.003, 0.3])
    b.plot(x, 0.3 * x ** (-2 / 3), "k:", lw=0.8)
    c.axhline(0.0, color="k", lw=0.5)
    a.set(xlabel=r"$u / \sqrt{a}$", ylabel=r"$\sqrt{a} P(u)$")
    b.set(xlabel=r"$a \tau_\mathrm{ev}$", ylabel=r"$\psi(\tau_\mathrm{ev}) / a$")
    c.set(xlabel=r"$t$ ($\tau$)", ylabel="$C_u(t)$")
    d.set(xlabel="$a t$", ylabel=r"$C_\sigma(t)$")
    insets[2].set_title("$N(s)$ of the walk", fontsize=6)
    for inset in insets:
        inset.tick_params(labelsize=5)
    a.legend(loc="upper left", fontsize=4.5)
    save(figure, out, "figure-3")


def animation(found: list[State], out: Path) -> None:
    """Displacement rate, from the motion of a grid of tracers, and where they have been: 64 x 64, T = 0.1."""
    params = parse(
        'model = { name = "ferrero", temperature = 0.1 }\nlattice.size = [64, 64]\n'
        "run = { equilibrate = { time = 200 }, duration = 30 }\ntracers = { number = 1024, placement = 'sites', interval = 1 }"
    )
    simulation = Simulation(slabs(params), params)
    frames: list[np.ndarray] = []
    while not simulation.finished:
        simulation.step(np.inf, lambda name, v: frames.append(np.array(v)) if name == "tracers/position" else None)
    figure = Figure(figsize=(4, 4), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, 64), ylim=(0, 64), aspect="equal", xticks=[], yticks=[])
    place = frames[0] % 64
    arrows = ax.quiver(*place.T, np.zeros(len(place)), np.zeros(len(place)), scale=4.0, width=0.003)
    dots = ax.plot(*place.T, ".", ms=2, color="#D55E00")[0]

    def draw(k: int) -> list[mpl.artist.Artist]:
        place = frames[k + 1] % 64
        arrows.set_offsets(place)
        arrows.set_UVC(*(frames[k + 1] - frames[k]).T)
        dots.set_data(*place.T)
        return [arrows, dots]

    out.mkdir(parents=True, exist_ok=True)
    FuncAnimation(figure, draw, len(frames) - 1).save(out / "displacements.gif", PillowWriter(fps=6), dpi=60)
    print(out / "displacements.gif", flush=True)


FIGURES: dict[str, Callable[[list[State], Path], None]] = {
    "1": figure_1, "2": figure_2, "3": figure_3, "animation": animation, "numbers": statements.table,
}  # fmt: skip


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--runs", type=Path, default=Path("results/ferrero_martens_barrat_2014"))
    parser.add_argument("--out", type=Path, help="default: figures/ beside the runs")
    a = parser.parse_args()
    if unknown := [name for name in a.names if name not in FIGURES]:
        parser.error(f"{', '.join(unknown)}: must be of {', '.join(FIGURES)}")
    found = states(a.runs)
    for name in a.names or FIGURES:
        FIGURES[name](found, a.out or a.runs / "figures")


if __name__ == "__main__":
    main()
