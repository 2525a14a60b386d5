"""What the report shows of a family of runs: figures, tables with marks, collapses, mobility maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpiepm.analysis.scaling import DIFFERENT, DOUBTFUL, LENGTHS, Step
from mpiepm.campaign import figures, findings
from mpiepm.campaign.findings import Family, compact

SHOWN = 3  # tables of quantities that are not folded away
_JUDGED = ("tau_alpha", "chi4_peak")  # quantities whose size dependence is shown
_MAPS = 6  # of mobility, at most


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows."""

    svg: str
    caption: str
    verdict: str = ""


@dataclass(frozen=True)
class Cell:
    """One value of a table, and what is to be thought of it: "", "small", "doubtful" or "enough"."""

    text: str
    mark: str = ""


def drawings(family: Family, prefix: str) -> list[Figure]:
    """Quantities against 1/T, tau_alpha against L / xi_4, and the curves of the coldest; `prefix` is unique on the page."""
    found = []

    def add(name: str, caption: str, draw: Any) -> None:
        found.append(Figure(figures.svg(f"{prefix}-{name}", caption, draw), caption))

    if family.table.temperature.values.min() > 0.0 and len(set(family.table.temperature.values)) > 1:
        for quantity in ("chi4_peak", "tau_alpha", "xi4"):
            if quantity in family.table:
                caption = f"{findings.label(quantity)} against 1/T, one colour for each size"
                add(quantity, caption, figures.against_inverse_temperature(family, quantity))
    if len(family.lengths) > 1 and "xi4" in family.table:
        caption = f"τ_α over that of the largest lattice at the same T, against L/ξ₄; dashed: L = {LENGTHS:g} ξ₄"
        add("ratio", caption, figures.size_ratio(family))
    coldest, members = _coldest(family)
    add("P", f"Persistence P(t) at T = {coldest:g}", figures.curves(members, family, "P"))
    add("chi4", f"χ₄(t) at T = {coldest:g}", figures.curves(members, family, "chi4"))
    return found


def _coldest(family: Family) -> tuple[float, list[Any]]:
    """The lowest temperature at which there are several sizes, if there is one."""
    temperatures = sorted({e.temperature for e in family.ensembles})
    groups = [(t, [e for e in family.ensembles if e.temperature == t]) for t in temperatures]
    return next(((t, members) for t, members in groups if len(members) > 1), groups[0])


def collapses(family: Family, prefix: str) -> list[Figure]:
    """The data collapses, with exponents and quality, whether they hold or not."""
    found = []
    for k, (quantity, best) in enumerate(family.collapses.items()):
        drawing = figures.svg(f"{prefix}-c{k}", f"collapse of {findings.label(quantity)}", figures.collapse(family, quantity))
        quality = f"S = {best.quality:.2g}, probability {best.probability:.2g}"
        over = f"{len(best.points.value)} points, T ≤ {best.points.temperature.max():g}"
        but = f"; {best.objection}" if best.objection else ""
        caption = f"{findings.label(quantity)}: {findings.exponents(best)}; {quality}; {over}{but}"
        found.append(Figure(drawing, caption, "collapse" if best.holds else "no collapse"))
    return found


def tables(family: Family) -> list[dict[str, Any]]:
    """chi4 peak, tau_alpha, xi_4, ...: a row for each temperature, a column for each size; after `SHOWN` those of origins."""
    found = []
    for quantity, steps in family.steps.items():
        enough = family.enough.get(quantity, {})
        marks = {(s.temperature, s.length): _mark(s, enough[s.temperature]) for s in steps} if enough else {}
        table = family.table
        values = {
            (t, length): Cell(compact(float(value), float(error)), marks.get((t, length), ""))
            for t, length, value, error in zip(
                table.temperature.values.tolist(), table.length.values.tolist(), table[quantity].values,
                table[f"{quantity}_error"].values, strict=True,
            )
        }  # fmt: skip
        rows = {f"{t:g}": [values.get((t, length), Cell("")) for length in family.lengths]
                for t in sorted({t for t, _ in values}, reverse=True)}  # fmt: skip
        if any(cell.text not in ("", "–") for row in rows.values() for cell in row):
            units = table[quantity].attrs.get("units", "1")
            units = "" if units == "1" else units
            found.append({"title": findings.label(quantity), "units": units, "columns": family.lengths, "rows": rows})
    return [*found[:SHOWN], _origins(family), *found[SHOWN:]]


def _origins(family: Family) -> dict[str, Any]:
    """How many there are of each state."""
    t, length, number = (family.table[name].values.tolist() for name in ("temperature", "length", "origins"))
    values = {(t, length): Cell(str(number)) for t, length, number in zip(t, length, number, strict=True)}
    rows = {f"{t:g}": [values.get((t, length), Cell("")) for length in family.lengths] for t in sorted(set(t), reverse=True)}
    return {"title": "origins", "units": "", "columns": family.lengths, "rows": rows}


def _mark(step: Step, enough: float) -> str:
    if abs(step.deviation) > DIFFERENT:
        return "small"
    if abs(step.deviation) > DOUBTFUL or step.lengths < LENGTHS:
        return "doubtful"
    return "enough" if step.length >= enough else ""


def _plain(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"


def steps(family: Family) -> list[tuple[str, Any, str, str, str, str]]:
    """Lines of the comparison from one size to the next."""
    return [
        (findings.label(quantity), s, findings.of(s.ratio), findings.of(s.slope), _plain(s.deviation), _plain(s.lengths))
        for quantity in _JUDGED for s in family.steps.get(quantity, []) if np.isfinite(s.larger)
    ]  # fmt: skip


def maps(family: Family) -> list[dict[str, Any]]:
    """At the largest size that has maps, from hot to cold."""
    for length in reversed(family.lengths):
        members = [e for e in family.ensembles if np.sqrt(e.sites) == length]
        found = []
        for e in sorted(members, key=lambda e: -e.temperature):
            if (image := figures.mobility(e)) is not None:
                here = (family.table.temperature.values == e.temperature) & (family.table.length.values == length)
                xi = float(family.table.xi4.values[here][0]) if "xi4" in family.table else float("nan")
                share = 100.0 * xi / e.params["lattice"]["size"][1] if np.isfinite(xi) else None
                found.append({"image": image, "temperature": e.temperature, "length": length, "xi": xi, "share": share})
        if found:
            chosen = np.unique(np.linspace(0, len(found) - 1, min(_MAPS, len(found))).round().astype(int))
            return [found[k] for k in chosen]
    return []
