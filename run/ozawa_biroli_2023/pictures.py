"""Figures 2, 5, 10 and 11 of Ozawa & Biroli (2023): mobility maps, the kernel, the theory; and an animation."""

import matplotlib as mpl
import numpy as np
from common import BLACK, BLUE, ORANGE, Study, colour, panels
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes

from mpiepm.analysis.read import first_event_map
from mpiepm.kernels.eshelby import exact_kernel
from mpiepm.theory import mean_field
from mpiepm.theory.stationary import stationary

MOBILITY = mpl.colors.ListedColormap([ORANGE, BLUE])  # mobile, immobile
ALPHA = 0.110


def _map(study: Study, temperature: float) -> np.ndarray:
    """First event times of the one origin of a run with maps."""
    return first_event_map(study.runs / "maps" / f"T={temperature:g}" / "seed=1", 0)


def _show(ax: Axes, immobile: np.ndarray, label: str) -> None:
    ax.imshow(immobile.T, cmap=MOBILITY, vmin=0, vmax=1, origin="lower", interpolation="nearest")
    ax.set(xticks=[], yticks=[], xlabel=label)


def figure_2(study: Study) -> None:
    """p_i(tau_alpha), when half of the sites have moved."""
    figure, axes = panels(2, height=3.5)
    for ax, temperature in zip(axes, (0.04, 0.013), strict=True):
        first = _map(study, temperature)
        _show(ax, first > np.median(first), f"$T$ = {temperature:g}")
    study.save(figure, "figure-02")


def figure_5(study: Study) -> None:
    """The kernel at three orientations."""
    figure, axes = panels(3, height=3.0)
    for ax, (psi, label) in zip(axes, ((0.0, "0"), (0.3, "0.3"), (np.pi / 4, r"\pi/4")), strict=True):
        kernel = np.fft.fftshift(exact_kernel((64, 64), psi))
        picture = ax.imshow(kernel.T, cmap="RdBu_r", vmin=-0.05, vmax=0.05, origin="lower", extent=(-32.5, 31.5, -32.5, 31.5))
        ax.set(title=rf"$\psi = {label}$", xlim=(-12, 12), ylim=(-12, 12), xlabel="$x$", ylabel="$y$")
    figure.colorbar(picture, ax=axes, shrink=0.8, label=r"$G^\psi$", extend="both")
    study.save(figure, "figure-05")


def figure_10(study: Study) -> None:
    """Mobility maps at T = 0.013 at lags that double, up to 2e5 sweeps as in the paper."""
    figure, axes = panels(4, 2, width=2.0, height=2.2)
    first = _map(study, 0.013)
    for ax, lag in zip(axes, (2048, 4096, 8192, 16384, 32768, 65536, 1e5, 2e5), strict=True):
        _show(ax, first > lag, f"$t$ = {lag:g}, $P$ = {np.mean(first > lag):.2f}")
    study.save(figure, "figure-10")


def figure_11(study: Study) -> None:
    """The theory: P(sigma) at T -> 0 and at finite temperature; alpha against sigma_bar."""
    figure, (left, right) = panels(2)
    stress = np.linspace(-1.2, 1.2, 601)
    left.plot(stress, mean_field.low_temperature_density(stress, ALPHA), "--", color=BLACK, lw=1.2, label=r"$T \to 0$")
    for temperature in (0.1, 0.04, 0.013):
        state = stationary(ALPHA, temperature)
        both = np.concatenate([-state.stress[::-1], state.stress])
        density = np.concatenate([state.density[::-1], state.density])
        left.plot(both, density, color=colour(temperature), lw=1, label=f"{temperature:g}")
    left.set(xlabel=r"$\sigma$", ylabel=r"$P(\sigma)$", xlim=(-1.2, 1.2), ylim=(0, None))
    left.legend(title="$T$", loc="upper right")
    edge = np.linspace(0.0, 1.0, 101)
    right.plot([mean_field.coupling_of_edge(e) for e in edge], edge, color=BLUE)
    right.plot(ALPHA, mean_field.edge_of_coupling(ALPHA), "o", color=ORANGE)
    right.set(xlabel=r"$\alpha$", ylabel=r"$\bar\sigma$", xlim=(0, None), ylim=(0, 1))
    study.save(figure, "figure-11")


def animation(study: Study) -> None:
    """How mobility spreads at T = 0.013: frames evenly spaced in the logarithm of time."""
    first = _map(study, 0.013)
    moved = np.sort(first[np.isfinite(first)])
    lags = np.geomspace(moved[len(moved) // 1000], moved[int(0.9 * len(moved)) - 1], 60)
    figure, (ax,) = panels(1, width=3.2, height=3.4)
    mpl.rcParams["savefig.bbox"] = None
    picture = ax.imshow(first.T > 0, cmap=MOBILITY, vmin=0, vmax=1, origin="lower", interpolation="nearest")
    ax.set(xticks=[], yticks=[])

    def draw(k: int) -> list[mpl.artist.Artist]:
        picture.set_data(lags[k] < first.T)
        ax.set_xlabel(f"$T$ = 0.013, $t$ = {lags[k]:.3g}, $P$ = {np.mean(first > lags[k]):.2f}")
        return [picture]

    study.out.mkdir(parents=True, exist_ok=True)
    path = study.out / "mobility.gif"
    FuncAnimation(figure, draw, len(lags)).save(path, PillowWriter(fps=8), dpi=80)
    print(path, flush=True)
