"""What a campaign has found: estimates of all state points, their size dependence, collapses; in numbers and in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import floor, isfinite, isnan, log, log10
from typing import Any

import numpy as np
import xarray

from mpiepm.analysis import scaling
from mpiepm.analysis.collapse import Collapse
from mpiepm.analysis.ensembles import Ensemble, ensembles
from mpiepm.analysis.errors import Estimate
from mpiepm.analysis.scaling import Step
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.status import Status
from mpiepm.campaign.tables import state_point
from mpiepm.core.faults import ParameterError

NAMES = {"chi4_peak": "χ₄ peak", "tau_alpha": "τ_α", "inverse_yield_rate": "1/Γ", "xi4": "ξ₄", "second_moment_length": "ξ₂",
         "mean_cluster_size": "clusters ⟨s²⟩/⟨s⟩"}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One model at several sizes and temperatures.

    Attributes
    ----------
    table : of `analysis.scaling.size_table`
    steps : of every quantity, from one size to the next
    enough : of tau_alpha and chi4_peak at every temperature, the smallest size that is large enough (NaN: none)
    """

    name: str
    ensembles: Sequence[Ensemble]
    table: xarray.Dataset
    steps: dict[str, list[Step]] = field(repr=False)
    enough: dict[str, dict[float, float]]
    collapses: dict[str, Collapse] = field(repr=False)

    @property
    def lengths(self) -> list[float]:
        """All L, ascending."""
        return sorted(set(self.table.length.values.tolist()))


def families(campaign: Campaign, statuses: dict[str, Status], replicas: int = 200) -> tuple[list[Family], list[str]]:
    """The finished runs that have origins; and what is left out, why."""
    groups: dict[str, list[Point]] = {}
    for point in campaign.points:
        if statuses[point.name].state == "finished" and not point.params.run.stationary:
            groups.setdefault(state_point(point), []).append(point)
    found: list[tuple[str, Ensemble]] = []
    left_out = []
    for name, points in groups.items():
        try:
            found += [(name, e) for e in ensembles([point.folder for point in points])]
        except ParameterError as error:
            left_out.append(f"{name}: left out: {error}")
    chosen = scaling.families([e for _, e in found])
    used = {id(e) for members in chosen.values() for e in members}
    left_out += [f"{name}: left out, there are more origins of {e.name}" for name, e in found if id(e) not in used]
    return [_family(name, members, replicas) for name, members in chosen.items()], left_out


def _family(name: str, members: list[Ensemble], replicas: int) -> Family:
    table = scaling.size_table(members)
    steps = {quantity: scaling.steps(table, quantity) for quantity in scaling.measured(table)}
    enough = {quantity: scaling.sufficient(table, quantity) for quantity in ("tau_alpha", "chi4_peak")}
    return Family(name, members, table, steps, enough, scaling.collapses(table, replicas))


def notes(family: Family) -> list[str]:
    """Why numbers are missing, or have no error; in the words of `mpiepm analyse`."""
    return scaling.notes(family.table, family.ensembles, NAMES)


def sentences(family: Family) -> list[str]:
    """What a reader wants to know first, with errors."""
    said = [
        *(_size_dependence(family, quantity) for quantity in ("chi4_peak", "tau_alpha")),
        _large_enough(family), _length(family),
        *(_collapse(quantity, best) for quantity, best in family.collapses.items() if quantity == "chi4_peak"),
    ]  # fmt: skip
    return [sentence for sentence in said if sentence]


def _size_dependence(family: Family, quantity: str) -> str:
    """At the lowest temperature that has two sizes."""
    for temperature in np.unique(family.table.temperature.values):
        here = family.table.isel(state=family.table.temperature.values == temperature)
        here = here.isel(state=(here[quantity].values > 0.0) & (here[f"{quantity}_error"].values > 0.0))
        if temperature > 0.0 and here.sizes["state"] >= 2:
            columns = (here.length.values, here[quantity].values, here[f"{quantity}_error"].values)
            values = [(float(length), Estimate(float(y), float(dy))) for length, y, dy in zip(*columns, strict=True)]
            return f"At T = {temperature:g} {NAMES[quantity]} {_over_sizes(values)}."
    return ""


def _over_sizes(values: list[tuple[float, Estimate]]) -> str:
    """The two sizes that differ most, and from which size on none do."""
    last = len(values) - 1
    ratios = {(j, k): scaling.ratio_of(values[j][1], values[k][1]) for j, k in combinations(range(len(values)), 2)}
    deviations = {pair: abs(log(ratio.value)) * ratio.value / ratio.error for pair, ratio in ratios.items()}

    def change(pair: tuple[int, int]) -> str:
        ends = ", ".join(f"{of(values[k][1])} (L = {values[k][0]:g})" for k in pair)
        return f"{ends}, a factor of {of(ratios[pair])}, {deviations[pair]:.1f} standard errors"

    most = max(deviations, key=lambda pair: deviations[pair])
    if deviations[most] < scaling.DOUBTFUL:
        return f"shows no size dependence within errors: {change((0, last))}"
    level = 1 + max(j for (j, _), deviation in deviations.items() if deviation >= scaling.DOUBTFUL)
    said = f"{'depends' if deviations[most] > scaling.DIFFERENT else 'seems to depend'} on the size: {change(most)}"
    return said if level == last else f"{said}; none within errors from L = {values[level][0]:g} on: {change((level, last))}"


def _large_enough(family: Family) -> str:
    if len(family.lengths) < 2 or "xi4" not in family.table:
        return ""
    enough = family.enough["tau_alpha"]
    cold = [temperature for temperature, length in enough.items() if not isfinite(length)]
    fine = {temperature: length for temperature, length in enough.items() if isfinite(length)}
    said = []
    if fine:
        lowest = min(fine)
        why = f"no step differs, and L ≥ {scaling.LENGTHS:g} ξ₄"
        said.append(f"by τ_α, L = {fine[lowest]:g} is large enough at T = {lowest:g} ({why})")
    if cold:
        said.append(f"no lattice here is known to be large enough at T = {', '.join(f'{t:g}' for t in sorted(cold))}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _length(family: Family) -> str:
    if "xi4" not in family.table:
        return ""
    known = family.table.isel(state=np.isfinite(family.table.xi4.values) & np.isfinite(family.table.xi4_error.values))
    temperatures = known.temperature.values
    if len(np.unique(temperatures)) < 2:
        return ""
    hot, cold = (known.isel(state=np.flatnonzero(temperatures == t)[-1]) for t in (temperatures.max(), temperatures.min()))
    a, b = (f"{compact(float(k.xi4), float(k.xi4_error))} (T = {float(k.temperature):g})" for k in (hot, cold))
    return f"ξ₄ goes from {a} to {b}."


def _collapse(quantity: str, best: Collapse) -> str:
    hottest = best.points.temperature.max()
    quality = f"{len(best.points.value)} points, T ≤ {hottest:g}, S = {best.quality:.2g}, probability {best.probability:.2g}"
    if not best.holds:
        return f"{NAMES[quantity]}: no collapse L^a f(T L^(1/ν)) of all sizes ({quality}): {best.objection}."
    return f"{NAMES[quantity]} collapses as L^a f(T L^(1/ν)), {exponents(best)} ({quality})."


def exponents(best: Collapse) -> str:
    """With errors: a = 1.6(1), 1/ν = 1.0(1), aν = 1.60(4)."""
    shown = {"inverse_nu": "1/ν", "T_c": "T_c", "omega": "ω"}
    said = [f"{shown.get(name, name)} = {of(estimate)}" for name, estimate in best.parameters.items()]
    if isfinite(best.gamma.value) and "a" in best.parameters:
        said.append(f"aν = {of(best.gamma)}")
    return ", ".join(said)


def label(quantity: str) -> str:
    """For people."""
    return NAMES.get(quantity, quantity.replace("avalanche_cutoff, ", "avalanches ⟨S²⟩/⟨S⟩, "))


def of(estimate: Estimate) -> str:
    """Value and error of an estimate; see `compact`."""
    return compact(float(estimate.value), float(estimate.error))


def compact(value: float, error: float) -> str:
    """715(40), 2.71(20)×10¹²: the digits in brackets are the standard error of the last ones."""
    if not isfinite(value):
        return "–"
    if isnan(error):
        return f"{value:.3g} (no error)"
    power = floor(log10(abs(value))) if value else 0
    power = 0 if -3 <= power < 5 and not error >= 100.0 else power
    tail = f"×10{str(power).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if power else ""
    value, error = value / 10.0**power, error / 10.0**power
    if not isfinite(error) or error <= 0.0:
        return f"{value:.3g}{tail}"
    decimals = max(0, 1 - floor(log10(error)))
    return f"{value:.{decimals}f}({error * 10.0**decimals:.0f}){tail}"


def as_data(family: Family) -> dict[str, Any]:
    """Numbers of all this for a machine; see docs/campaigns.md."""
    table = family.table
    columns = [*table.coords, *table.data_vars]
    rows = [{str(name): _plain(table[name].values[k]) for name in columns} for k in range(table.sizes["state"])]
    return {
        "model": family.name,
        "states": rows,
        "size_dependence": {
            quantity: [{
                "temperature": s.temperature, "length": s.length, "larger": _plain(s.larger), "ratio": _pair(s.ratio),
                "slope": _pair(s.slope), "deviation": _plain(s.deviation), "length_over_xi4": _plain(s.lengths),
                "verdict": s.verdict,
            } for s in steps] for quantity, steps in family.steps.items()
        },
        "large_enough": {
            quantity: [{"temperature": t, "length": _plain(length)} for t, length in enough.items()]
            for quantity, enough in family.enough.items()
        },
        "collapses": {quantity: _collapse_data(best) for quantity, best in family.collapses.items()},
        "sentences": sentences(family),
    }  # fmt: skip


def _collapse_data(best: Collapse) -> dict[str, Any]:
    return {
        "form": "y = L^a f(T L^inverse_nu)", "holds": best.holds, "quality": best.quality, "probability": best.probability,
        "degree": best.degree, "points": len(best.points.value), "hottest": float(best.points.temperature.max()),
        "parameters": {name: _pair(estimate) for name, estimate in best.parameters.items()}, "a_nu": _pair(best.gamma),
    }  # fmt: skip


def _pair(estimate: Estimate) -> dict[str, Any]:
    return {"value": _plain(estimate.value), "error": _plain(estimate.error)}


def _plain(value: Any) -> Any:
    """As JSON can hold it: NaN and infinity are null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not isfinite(value) else value
