"""What `mpiepm scaling` prints: size dependence with errors, verdicts, collapses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray

from mpiepm.analysis import scaling
from mpiepm.analysis.collapse import Collapse
from mpiepm.analysis.ensembles import Ensemble, ensembles
from mpiepm.analysis.errors import in_words

NAMES = {"tau_alpha": "tau_alpha", "inverse_yield_rate": "1 / yield rate", "chi4_peak": "chi4 peak", "xi4": "xi_4",
         "second_moment_length": "xi_2", "mean_cluster_size": "cluster size"}  # fmt: skip

_COLUMNS = "  {:10s} {:>7s} {:>6s} {:>22s} {:>8s} {:>16s} {:>9s}  {}"


def summary(folders: Sequence[Path]) -> str:
    """One block for each model: sizes compared at every temperature, then the collapses.

    Raises
    ------
    ParameterError : if a folder holds no run of EPM-Q with a complete origin
    """
    groups = scaling.families(ensembles(folders, allow_unfinished=True))
    return "\n\n".join(_family(name, group) for name, group in groups.items())


def _family(name: str, family: Sequence[Ensemble]) -> str:
    table = scaling.size_table(family)
    lines = [f"{name}: {table.sizes['state']} state points"]
    for quantity in ("tau_alpha", "chi4_peak"):
        lines += ["", _COLUMNS.format(NAMES[quantity], "T", "L", "value", "L / xi_4", "next / this", "deviation", "verdict")]
        lines += [_line(table, quantity, step) for step in scaling.steps(table, quantity)]
    lines += ["", "  collapse L^a f(T L^(1/nu)):"]
    found = scaling.collapses(table)
    lines += [f"  {NAMES.get(quantity, quantity):26s} {describe(best)}" for quantity, best in found.items()]
    lines += [] if found else ["  too few sizes or temperatures"]
    if notes := scaling.notes(table, family, {quantity: NAMES[quantity] for quantity in ("tau_alpha", "chi4_peak", "xi4")}):
        lines += ["", "  what is missing:", *(f"  {note}" for note in notes)]
    return "\n".join(lines)


def _line(table: xarray.Dataset, quantity: str, step: scaling.Step) -> str:
    here = (table.temperature.values == step.temperature) & (table.length.values == step.length)
    value, error = (float(table[name].values[here][0]) for name in (quantity, f"{quantity}_error"))
    ratio = f"{step.ratio.value:.3g} +- {step.ratio.error:.1g}" if np.isfinite(step.deviation) else "-"
    deviation = f"{step.deviation:.1f}" if np.isfinite(step.deviation) else "-"
    lengths = f"{step.lengths:.1f}" if np.isfinite(step.lengths) else "-"
    shown = in_words(value, error, digits=4)
    place = (f"{step.temperature:g}", f"{step.length:g}")
    return _COLUMNS.format("", *place, shown, lengths, ratio, deviation, step.verdict)


def describe(best: Collapse) -> str:
    """In one line: exponents, quality, and over what."""
    exponents = ", ".join(f"{name.replace('inverse_nu', '1/nu')} = {estimate}" for name, estimate in best.parameters.items())
    if "a" in best.parameters and np.isfinite(best.gamma.value):
        exponents += f", a nu = {best.gamma}"
    verdict = "collapse" if best.holds else "NO COLLAPSE"
    hottest, total = best.points.temperature.max(), len(best.points.value)
    quality = f"S = {best.quality:.2g} (p = {best.probability:.2g})"
    why = f"; {best.objection}" if best.objection else ""
    return f"{verdict}, {quality}, {total} points, T <= {hottest:g}: {exponents}{why}"
