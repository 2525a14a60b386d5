"""Overview of a run in one picture: P(t), chi4(t), P(sigma) and a mobility map at tau_alpha."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mpiepm.analysis import estimators
from mpiepm.analysis.ensembles import ensembles
from mpiepm.analysis.read import field
from mpiepm.core.amounts import number_of

_BLUE, _ORANGE = "#0072B2", "#D55E00"  # told apart by everyone (Okabe and Ito)


def overview(folder: Path, path: Path) -> None:
    """Draw the run in `folder` to `path` (PNG or PDF, by its suffix).

    Raises
    ------
    ParameterError : if it is no run of EPM-Q with a complete origin
    """
    (run,) = ensembles([folder], allow_unfinished=True)
    tau = estimators.relaxation_time(run.lag, run.persistence)
    every, time = np.arange(run.origins), run.units.time
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
    figure.suptitle(f"{run.name}, {run.unfinished or number_of(len(every), 'origin')}")

    top_left.semilogx(run.lag, run.persistence.T, color=_BLUE, alpha=0.25, lw=0.7)
    top_left.semilogx(run.lag, run.persistence.mean(axis=0), color=_BLUE, lw=2)
    top_left.set(xlabel=f"$t$ ({time})", ylabel="$P(t)$", ylim=(0, 1.02))
    if run.origins > 1:
        top_right.semilogx(run.lag, estimators.chi4(run.persistence, run.sites), color=_BLUE, lw=2)
        top_right.set(xlabel=f"$t$ ({time})", ylabel=r"$\chi_4(t)$", ylim=(0, None))
    else:
        top_right.set_axis_off()
        top_right.text(0.5, 0.5, r"one origin: $\chi_4$ needs at least two", ha="center", transform=top_right.transAxes)
    if np.isfinite(tau):
        top_left.axvline(tau, color=_ORANGE, ls="--", lw=1, label=rf"$\tau_\alpha$ = {tau:.4g}")
        top_left.legend(frameon=False)
        top_right.axvline(tau, color=_ORANGE, ls="--", lw=1)

    edges = run.data["histograms/stress/edges"]
    bottom_left.stairs(estimators.stress_density(run, every), edges, color=_BLUE, lw=1.5)
    bottom_left.set(xlabel=r"$\sigma / \sigma_c$", ylabel=r"$P(\sigma)$", xlim=(-1.5, 1.5), ylim=(0, None))

    if run.params["output"]["first_event_maps"] and np.isfinite(tau):
        immobile = field(run.runs[0], "origins/first_event_time", len(every) - 1) > tau
        colours = mpl.colors.ListedColormap([_ORANGE, _BLUE])
        bottom_right.imshow(immobile.T, cmap=colours, vmin=0, vmax=1, origin="lower", interpolation="nearest")
        bottom_right.set(title=r"mobile (orange) and immobile sites at $\tau_\alpha$", xlabel="$x$", ylabel="$y$")
    else:
        bottom_right.set_axis_off()
    figure.savefig(path, dpi=110)
