"""Figures of a report: SVG that takes its colours from the page, so that it is read by day, at night, and on paper.

matplotlib draws with stand-in colours, which `svg` replaces by CSS: the text colour, muted lines, and a series for each size.
"""

import base64
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mpiepm.analysis import estimators
from mpiepm.analysis.ensembles import Ensemble
from mpiepm.analysis.read import first_event_map
from mpiepm.analysis.scaling import LENGTHS
from mpiepm.campaign.findings import Family
from mpiepm.core.faults import ParameterError

SERIES = 8  # colours; --s0 ... of the page
_INK, _MUTED = "#fd0000", "#fd0001"
_STYLE: dict[Any, Any] = {
    "font.size": 9.5, "axes.labelsize": 10, "legend.fontsize": 8.5, "legend.frameon": False, "svg.fonttype": "path",
    "svg.hashsalt": "mpiepm", "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _MUTED, "xtick.color": _MUTED,
    "ytick.color": _MUTED, "xtick.labelcolor": _INK, "ytick.labelcolor": _INK, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.direction": "in", "ytick.direction": "in",
}  # fmt: skip
_MATH = {"chi4_peak": r"$\chi_4^*$", "tau_alpha": r"$\tau_\alpha$ (sweeps)", "xi4": r"$\xi_4$ (sites)",
         "second_moment_length": r"$\xi_2$ (sites)", "mean_cluster_size": r"$\langle s^2\rangle/\langle s\rangle$"}  # fmt: skip
_MAP_PIXELS = 320
_EARLY, _LATE = -2.5, 0.5  # decades of t / tau_alpha that a mobility map tells apart


def _logarithmic(axes: Axes, which: str) -> None:
    """Logarithmic scales; one that is shorter than two decades is labelled by plain numbers, and by few."""
    for letter in which:
        axes.set(**{f"{letter}scale": "log"})
        axis = axes.xaxis if letter == "x" else axes.yaxis
        low, high = axis.get_view_interval()
        if high < 100.0 * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high > 4.0 * low else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def colour(place: int) -> str:
    """Stand-in of a series."""
    return f"#fe00{place % SERIES:02x}"


def palette(dark: bool) -> list[str]:
    """What the series look like: even steps of lightness, none too near the background."""
    low, high = (0.3, 1.0) if dark else (0.0, 0.82)
    return [mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(low, high, SERIES))]


def place(family: Family, length: float) -> int:
    """Colour of a size: spread over all of the palette."""
    lengths = family.lengths
    return round(lengths.index(length) * (SERIES - 1) / max(len(lengths) - 1, 1))


def svg(name: str, what: str, draw: Callable[[Axes], None], width: float = 4.6, height: float = 3.3) -> str:
    """One panel as inline SVG; `what` it shows, for those who do not see it."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)  # several drawings share the page
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, body = text.split(">", 1)
    text = re.sub(r' (xmlns:xlink|xmlns|width|height)="[^"]*"', "", head) + ">" + body
    text = text.replace("xlink:href", "href").replace(_INK, "currentColor").replace(_MUTED, "var(--muted)")
    text = re.sub(r"#fe00(\w\w)", lambda match: f"var(--s{int(match[1], 16)})", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{what}"', 1)


def _markers(axes: Axes, family: Family, length: float, points: np.ndarray, line: str = "") -> None:
    """x, y and dy (3, point) of one size, if there are any."""
    x, y, dy = points
    if x.size:
        chosen = colour(place(family, length))
        label = f"L = {length:g}"
        axes.errorbar(x, y, dy, fmt=f"o{line}", color=chosen, ms=4.5, lw=1.2, elinewidth=1.0, capsize=2.0, label=label)


def _legend(axes: Axes) -> None:
    """Of what there is; nothing may be."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def against_inverse_temperature(family: Family, quantity: str) -> Callable[[Axes], None]:
    """A quantity of all sizes, on a logarithmic scale over 1/T."""

    def draw(axes: Axes) -> None:
        table = family.table
        for length in family.lengths:
            here = table.isel(state=(table.length.values == length) & np.isfinite(table[quantity].values))
            points = np.array([1.0 / here.temperature, here[quantity], here[f"{quantity}_error"]])
            _markers(axes, family, length, points, line="-")
        axes.set(xlabel="$1/T$", ylabel=_MATH.get(quantity, quantity))
        _logarithmic(axes, "y")
        _legend(axes)

    return draw


def size_ratio(family: Family) -> Callable[[Axes], None]:
    """tau_alpha over that of the largest lattice at the same temperature, against L / xi_4."""

    def draw(axes: Axes) -> None:
        table = family.table
        by_temperature = {t: table.isel(state=table.temperature.values == t) for t in np.unique(table.temperature.values)}
        for length in family.lengths:
            found = []
            for here in by_temperature.values():
                largest = here.isel(state=-1)
                if length < float(largest.length) and (length in here.length.values) and np.isfinite(largest.xi4):
                    own = here.isel(state=int(np.flatnonzero(here.length.values == length)[0]))
                    ratio = float(own.tau_alpha / largest.tau_alpha)
                    relative = np.hypot(own.tau_alpha_error / own.tau_alpha, largest.tau_alpha_error / largest.tau_alpha)
                    found.append((length / float(largest.xi4), ratio, ratio * float(relative)))
            _markers(axes, family, length, np.array(found).reshape(-1, 3).T)
        axes.axhline(1.0, color=_MUTED, lw=0.8)
        axes.axvline(LENGTHS, color=_MUTED, lw=0.8, ls="--")
        axes.set(xlabel=r"$L/\xi_4$", ylabel=r"$\tau_\alpha(L)\,/\,\tau_\alpha(L_{\max})$")
        _logarithmic(axes, "xy")
        _legend(axes)

    return draw


def collapse(family: Family, quantity: str) -> Callable[[Axes], None]:
    """Scaled values of all sizes."""
    best = family.collapses[quantity]

    def draw(axes: Axes) -> None:
        points = np.array(best.scaled())
        for length in family.lengths:
            _markers(axes, family, length, points[:, best.points.length == length])
        name = _MATH.get(quantity, r"$\langle S^2\rangle/\langle S\rangle$").split(" (")[0].strip("$")
        axes.set(xlabel=r"$T\,L^{1/\nu}$", ylabel=f"${name}\\,L^{{-a}}$")
        _logarithmic(axes, "xy")
        _legend(axes)

    return draw


def curves(members: Sequence[Ensemble], family: Family, quantity: str) -> Callable[[Axes], None]:
    """P(t) or chi4(t) of some ensembles, one for each size."""

    def draw(axes: Axes) -> None:
        for e in sorted(members, key=lambda e: e.sites):
            length = float(np.sqrt(e.sites))
            values = e.persistence.mean(axis=0) if quantity == "P" else estimators.chi4(e.persistence, e.sites)
            kept = values > 0.01 * np.nanmax(values, initial=0.0)
            axes.plot(e.lag[kept], values[kept], color=colour(place(family, length)), lw=1.6, label=f"L = {length:g}")
        axes.set(xlabel="$t$ (sweeps)", ylabel="$P(t)$" if quantity == "P" else r"$\chi_4(t)$", xscale="log")
        _legend(axes)

    return draw


def costs(predicted: np.ndarray, actual: np.ndarray) -> Callable[[Axes], None]:
    """Core-hours, what was predicted and what it was."""

    def draw(axes: Axes) -> None:
        low, high = min(predicted.min(), actual.min()) / 2, max(predicted.max(), actual.max()) * 2
        ends = np.array([low, high])
        axes.fill_between(ends, ends / 2, ends * 2, color=_MUTED, alpha=0.15, lw=0)
        axes.plot(ends, ends, color=_MUTED, lw=0.8)
        axes.plot(predicted, actual, "o", color=colour(2), ms=4.5, alpha=0.7)
        axes.set(xlabel="predicted core-hours of a run", ylabel="actual", xlim=(low, high), ylim=(low, high))
        _logarithmic(axes, "xy")

    return draw


def mobility(e: Ensemble) -> str | None:
    """Map of the first events after an origin as PNG, a data URI: dark where early, light where late; None if there is none."""
    for run in e.runs:
        if not run.params["output"]["first_event_maps"]:
            continue
        try:
            times = first_event_map(run.folder, 0)
        except ParameterError:
            continue
        step = max(1, -(-max(times.shape) // _MAP_PIXELS))
        tau = estimators.relaxation_time(e.lag, e.persistence)
        decades = np.log10(np.maximum(times[::step, ::step], 1e-300) / tau)
        shade = np.clip((decades - _EARLY) / (_LATE - _EARLY), 0.0, 1.0)
        buffer = io.BytesIO()
        image.imsave(buffer, np.asarray(mpl.colormaps["magma"](shade)), format="png")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return None


def map_scale() -> str:
    """The colours of the maps, as a CSS gradient."""
    return ", ".join(mpl.colors.to_hex(c) for c in mpl.colormaps["magma"](np.linspace(0.0, 1.0, 9)))
