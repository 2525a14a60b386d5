"""What the figures share: the runs of a study, their estimates, colours, and how a figure is kept."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpiepm.analysis.estimators import activation_energy
from mpiepm.analysis.results import analyse

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"  # told apart by everyone (Okabe and Ito)
PAPER = (0.1, 0.06, 0.04, 0.03, 0.025, 0.02, 0.018, 0.015, 0.013)         # the temperatures of the paper
COLDEST = (0.0129, 0.0181)                                                # between these, its lowest ones: for fits
mpl.rcParams.update({"font.size": 9, "axes.labelsize": 10, "legend.fontsize": 7, "legend.frameon": False,
                     "xtick.direction": "in", "ytick.direction": "in", "savefig.dpi": 140})  # fmt: skip


class Study:
    """The runs in the directory `runs`; figures go to `out`."""

    def __init__(self, runs: Path, out: Path) -> None:
        self.runs, self.out = runs, out

    def folders(self, series: str) -> list[Path]:
        """Directories of the finished runs of a series."""
        return sorted(path.parent for path in (self.runs / series).glob("*/*/archive.h5"))

    def waits(self) -> list[str]:
        """Names of the series of waiting times, shortest first."""
        return sorted((path.name for path in self.runs.glob("wait-*")), key=lambda name: float(name.removeprefix("wait-")))

    @cache  # noqa: B019  (one study a program)
    def estimates(self, series: str) -> xarray.Dataset:
        """All estimates of a series, one state for each temperature, from hot to cold."""
        return analyse(self.folders(series)).sortby("temperature", ascending=False)

    def save(self, figure: Figure, name: str) -> None:
        """As PNG and PDF."""
        self.out.mkdir(parents=True, exist_ok=True)
        for suffix in ("png", "pdf"):
            figure.savefig(self.out / f"{name}.{suffix}")
        print(self.out / f"{name}.png", flush=True)


def panels(columns: int, rows: int = 1, width: float = 3.4, height: float = 2.8) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, lettered (a), (b), ... if there are several."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    if len(axes) > 1:
        for k, ax in enumerate(axes):
            ax.set_title(f"({chr(ord('a') + k)})", loc="left", fontsize=9)
    return figure, axes


def colour(temperature: float) -> tuple[float, float, float, float]:
    """From dark (hot) to light (cold), even in lightness."""
    position = np.log(0.1 / temperature) / np.log(0.1 / 0.005)
    rgba: tuple[float, float, float, float] = mpl.colormaps["viridis"](0.92 * min(max(position, 0.0), 1.0))
    return rgba


def each(values: xarray.Dataset) -> Iterator[tuple[xarray.Dataset, float]]:
    """State points one by one, with their temperatures."""
    for k, temperature in enumerate(values.temperature.values):
        yield values.isel(state=k), float(temperature)


def curve(ax: Axes, state: xarray.Dataset, name: str, **style: object) -> None:
    """A curve over the lag with a band of one standard error."""
    known = state[name].dropna("lag")
    error = state[f"{name}_error"].sel(lag=known.lag)
    (line,) = ax.plot(known.lag, known, **style)
    ax.fill_between(known.lag, known - error, known + error, color=line.get_color(), alpha=0.25, lw=0)


def points(ax: Axes, x: xarray.DataArray, values: xarray.Dataset, name: str, fmt: str, **style: object) -> None:
    """Points with their standard errors."""
    ax.errorbar(x, values[name], values[f"{name}_error"], fmt=fmt, ms=4, lw=1, capsize=2, **style)


def local_barriers(values: xarray.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """d ln tau / d(1/T) of a time between neighbouring temperatures, and standard errors."""
    x, y = 1 / values.temperature.values, np.log(values[name].values)
    error = values[f"{name}_error"].values / values[name].values
    return np.diff(y) / np.diff(x), np.hypot(error[1:], error[:-1]) / np.diff(x)


def arrhenius(values: xarray.Dataset, name: str, lowest: float, highest: float) -> tuple[float, float, float]:
    """Activation energy, its standard error and ln of the prefactor of a time, for lowest < T < highest."""
    cold = values.where((values.temperature < highest) & (values.temperature > lowest) & np.isfinite(values[name]), drop=True)
    fit = activation_energy(cold.temperature.values, cold[name].values, cold[f"{name}_error"].values)
    offset = np.mean(np.log(cold[name].values) - fit.value / cold.temperature.values) if cold.sizes["state"] else np.nan
    return fit.value, fit.error, float(offset)
