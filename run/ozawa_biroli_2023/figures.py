"""The figures of Ozawa & Biroli (2023), from the archives that `mpiepm campaign run` leaves.

    python run/ozawa_biroli_2023/figures.py [NAME ...] [--runs DIR] [--out DIR]

NAME: 1 ... 11 as in the paper; 12: size and temperature beyond it; animation; numbers: a table of what the paper says and
what comes out. Default: all of them, as PNG and PDF.
"""

import argparse
from pathlib import Path

import numpy as np
import pictures
import statements
from common import (
    BLACK,
    BLUE,
    COLDEST,
    GREEN,
    ORANGE,
    PAPER,
    Study,
    arrhenius,
    colour,
    curve,
    each,
    local_barriers,
    panels,
    points,
)

from mpiepm.theory import mean_field, noninteracting
from mpiepm.theory.relaxation import half_time
from mpiepm.theory.stationary import effective_barrier, stationary

ALPHA = 0.110
TIME = r"$t$ (sweeps)"


def figure_1(study: Study) -> None:
    """P(t) at every temperature; tau_alpha with and without elasticity."""
    figure, (left, right) = panels(2)
    elastic, isolated = study.estimates("L64"), study.estimates("isolated")
    for state, t in each(elastic):
        curve(left, state, "persistence", color=colour(t), lw=1, ls="-" if t in PAPER else ":", label=f"{t:g}")
    left.set(xscale="log", xlabel=TIME, ylabel=r"$\langle P(t) \rangle$", ylim=(0, 1.02), xlim=(0.1, 1e19))
    left.legend(title="$T$", loc="center right")
    points(right, 1 / elastic.temperature, elastic, "tau_alpha", "o", color=BLUE, label="elastic")
    points(right, 1 / isolated.temperature, isolated, "tau_alpha", "s", color=ORANGE, mfc="none", label="no elasticity")
    fine = np.linspace(1 / 0.1, 1 / isolated.temperature.values.min(), 12)
    right.plot(fine, [isolated_time(1 / x) for x in fine], color=ORANGE, lw=0.8, label="closed form")
    energy, _, offset = arrhenius(elastic, "tau_alpha", *COLDEST)
    x = np.array([20.0, 1.05 / elastic.temperature.values.min()])
    right.plot(x, np.exp(offset + energy * x), "--", color=BLACK, lw=0.8, label=rf"$\Delta E$ = {energy:.3f}")
    right.set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$ (sweeps)", ylim=(1, 1e15))
    right.legend(loc="lower right")
    study.save(figure, "figure-01")


def isolated_time(temperature: float) -> float:
    """tau_alpha without elasticity, in closed form."""
    inverse = noninteracting.inverse_yield_rate(temperature)
    return half_time(lambda lag: float(noninteracting.persistence(np.array([lag]), temperature)[0]), 1 / inverse)


def figure_3(study: Study) -> None:
    """chi4(t); its peak against tau_alpha with and without elasticity."""
    figure, (left, right) = panels(2)
    elastic, isolated = study.estimates("L64"), study.estimates("isolated")
    for state, t in each(elastic):
        curve(left, state, "chi4", color=colour(t), lw=1, ls="-" if t in PAPER else ":", label=f"{t:g}")
    left.set(xscale="log", xlabel=TIME, ylabel=r"$\chi_4(t)$", ylim=(0, None))
    left.legend(title="$T$", ncols=2, loc="upper left")
    for values, fmt, c, label in ((elastic, "o", BLUE, "elastic"), (isolated, "s", ORANGE, "no elasticity")):
        points(right, values.tau_alpha, values, "chi4_peak", fmt, color=c, mfc=c if fmt == "o" else "none", label=label)
    right.set(xscale="log", yscale="log", xlabel=r"$\tau_\alpha$ (sweeps)", ylabel=r"$\chi_4^\mathrm{peak}$")
    right.legend(loc="center right")
    study.save(figure, "figure-03")


def figure_4(study: Study) -> None:
    """P(sigma) and the theory; arrows at sigma_bar^act."""
    figure, (ax,) = panels(1, width=4.2, height=3.2)
    elastic = study.estimates("L64")
    for state, t in each(elastic):
        ax.plot(state.stress, state.stress_density, color=colour(t), lw=1, ls="-" if t in PAPER else ":", label=f"{t:g}")
    ax.plot(elastic.stress, mean_field.low_temperature_density(elastic.stress.values, ALPHA), "--", color=BLACK, lw=1,
            label="theory")  # fmt: skip
    stress = mean_field.activation_stress(arrhenius(elastic, "tau_alpha", *COLDEST)[0])
    for place in (stress, -stress):
        ax.annotate("", (place, 0.0), (place, 0.25), arrowprops={"arrowstyle": "->"})
    ax.set(xlabel=r"$\sigma$", ylabel=r"$P(\sigma)$", xlim=(-1.5, 1.5), ylim=(0, None))
    ax.legend(title="$T$", loc="upper right")
    study.save(figure, "figure-04")


def figure_6(study: Study) -> None:
    """P, C_s and C_p at two temperatures; the definitions of tau_alpha."""
    figure, axes = panels(3)
    elastic = study.estimates("L64")
    for ax, t in zip(axes[:2], (0.02, 0.013), strict=True):
        state = elastic.isel(state=int(np.argmin(np.abs(elastic.temperature.values - t))))
        for name, c, label in (("persistence", BLUE, r"$\langle P \rangle$"), ("stress_correlation", ORANGE, "$C_s$"),
                               ("plastic_correlation", GREEN, "$C_p$")):  # fmt: skip
            curve(ax, state, name, color=c, lw=1, label=label)
        ax.set(xscale="log", xlabel=TIME, title=f"$T$ = {t:g}", ylim=(-0.05, 1.02))
        ax.legend(loc="lower left")
    for name, fmt, c, label in (("inverse_yield_rate", "^", BLACK, r"$1/\Gamma$"), ("tau_alpha", "o", BLUE, "persistence"),
                                ("tau_stress", "s", ORANGE, "stress")):  # fmt: skip
        points(axes[2], 1 / elastic.temperature, elastic, name, fmt, color=c, mfc="none", label=label)
    axes[2].set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$ (sweeps)")
    axes[2].legend(loc="upper left")
    study.save(figure, "figure-06")


def figure_7(study: Study) -> None:
    """Peak of chi4 against 1/T, with a linear fit at the lower temperatures of the paper."""
    figure, (ax,) = panels(1, width=4.2, height=3.2)
    elastic = study.estimates("L64")
    points(ax, 1 / elastic.temperature, elastic, "chi4_peak", "o", color=BLUE)
    in_paper = (elastic.temperature > 0.0129) & (elastic.temperature < 0.0301)
    paper = elastic.where(in_paper & np.isfinite(elastic.chi4_peak_error), drop=True)
    if paper.sizes["state"] > 1:
        x = 1 / paper.temperature.values
        slope, zero = np.polyfit(x, paper.chi4_peak.values, 1, w=1 / paper.chi4_peak_error.values)
        line = np.array([20.0, 1.05 / elastic.temperature.values.min()])
        ax.plot(line, zero + slope * line, color=BLACK, lw=0.8, label=f"{slope:.2f}/$T$ {zero:+.0f}, fit to 0.013 ... 0.03")
        ax.legend(loc="lower right")
    ax.set(xlabel="$1/T$", ylabel=r"$\chi_4^\mathrm{peak}$", ylim=(0, None))
    study.save(figure, "figure-07")


def figure_8(study: Study) -> None:
    """Waiting-time dependence of P(t) and chi4(t) at T = 0.013."""
    figure, (left, right) = panels(2)
    for k, name in enumerate(study.waits()):
        state = study.estimates(name).isel(state=0)
        late = float(name.removeprefix("wait-")) > 5e5
        style = {"color": colour(0.1 * 0.55**k), "lw": 1.5 if late else 1.0, "ls": "-" if late else "--"}
        for ax, quantity in ((left, "persistence"), (right, "chi4")):
            curve(ax, state, quantity, label=name.replace("wait-", "$t_w$ = "), **style)
    left.set(xscale="log", xlabel=TIME, ylabel=r"$\langle P(t) \rangle$", xlim=(10, 1e6))
    right.set(xscale="log", xlabel=TIME, ylabel=r"$\chi_4(t)$", xlim=(10, 1e6), ylim=(0, None))
    left.legend(loc="lower left")
    study.save(figure, "figure-08")


def figure_9(study: Study) -> None:
    """Size dependence of tau_alpha and of the peak of chi4."""
    figure, (left, right) = panels(2)
    for name, fmt, c in (("L64", "o", BLUE), ("L128", "s", ORANGE), ("L256", "^", GREEN)):
        values = study.estimates(name)
        points(left, 1 / values.temperature, values, "tau_alpha", fmt, color=c, mfc="none", label=f"$L$ = {name[1:]}")
        points(right, values.tau_alpha, values, "chi4_peak", fmt, color=c, mfc="none", label=f"$L$ = {name[1:]}")
    left.set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$ (sweeps)")
    right.set(xscale="log", yscale="log", xlabel=r"$\tau_\alpha$ (sweeps)", ylabel=r"$\chi_4^\mathrm{peak}$")
    left.legend(loc="upper left")
    study.save(figure, "figure-09")


def figure_12(study: Study) -> None:
    """Beyond the paper: correlation length, and the activation energy of 1/Gamma between neighbouring temperatures."""
    figure, (left, right) = panels(2)
    for name, fmt, c in (("L64", "o", BLUE), ("L128", "s", ORANGE), ("L256", "^", GREEN)):
        values = study.estimates(name)
        points(left, 1 / values.temperature, values, "xi4", fmt, color=c, mfc="none", label=f"$L$ = {name[1:]}")
        x = 1 / values.temperature.values
        barrier, error = local_barriers(values, "inverse_yield_rate")
        middle = 0.5 * (x[1:] + x[:-1])
        right.errorbar(middle, barrier, error, fmt=fmt, ms=4, lw=1, color=c, mfc="none", label=f"$L$ = {name[1:]}")
    inverse = np.linspace(15.0, 200.0, 12)
    right.plot(inverse, [effective_barrier(stationary(ALPHA, 1 / x)) for x in inverse], color=BLACK, lw=0.8, label="mean field")
    right.axhline(mean_field.activation_energy(ALPHA), color=BLACK, lw=0.8, ls="--", label=r"$T \to 0$")
    left.set(xlabel="$1/T$", ylabel=r"$\xi_4(\tau_\alpha)$", ylim=(0, None))
    right.set(xlabel="$1/T$", ylabel=r"$\Delta \ln (1/\Gamma) / \Delta (1/T)$", ylim=(0.11, 0.20))
    left.legend(loc="upper left")
    right.legend(loc="upper right")
    study.save(figure, "figure-12")


FIGURES = {
    "1": figure_1, "2": pictures.figure_2, "3": figure_3, "4": figure_4, "5": pictures.figure_5, "6": figure_6,
    "7": figure_7, "8": figure_8, "9": figure_9, "10": pictures.figure_10, "11": pictures.figure_11, "12": figure_12,
    "animation": pictures.animation, "numbers": statements.table,
}  # fmt: skip


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--runs", type=Path, default=Path("results/ozawa_biroli_2023"))
    parser.add_argument("--out", type=Path, help="default: figures/ beside the runs")
    a = parser.parse_args()
    if unknown := [name for name in a.names if name not in FIGURES]:
        parser.error(f"{', '.join(unknown)}: must be of {', '.join(FIGURES)}")
    study = Study(a.runs, a.out or a.runs / "figures")
    for name in a.names or FIGURES:
        FIGURES[name](study)


if __name__ == "__main__":
    main()
