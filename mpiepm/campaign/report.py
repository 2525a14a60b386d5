"""The report of a campaign: one HTML page that needs nothing else, and the same in JSON for machines."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mpiepm.analysis.read import read
from mpiepm.analysis.scaling import DIFFERENT, DOUBTFUL, LENGTHS, Step
from mpiepm.analysis.stationary import mean_over_time
from mpiepm.campaign import figures, findings
from mpiepm.campaign.collect import summary
from mpiepm.campaign.cost import Cost
from mpiepm.campaign.findings import Family, compact
from mpiepm.campaign.grid import Campaign
from mpiepm.campaign.status import STATES, Status
from mpiepm.campaign.tables import duration, size
from mpiepm.core.params import FerreroParameters, ParameterError
from mpiepm.io.provenance import software

PAGE, DATA = "report.html", "report.json"
_JUDGED = ("tau_alpha", "chi4_peak")  # quantities whose size dependence is shown
_MAPS = 6  # of mobility, at most
_WORST = ("failed", "unfinished", "missing", "queued", "running", "finished")


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


def write(campaign: Campaign, predicted: dict[str, Cost], statuses: dict[str, Status], path: Path) -> Path:
    """Write the page to `path`, and its numbers beside it with the suffix .json; returns that.

    Raises
    ------
    ParameterError : if they cannot be written
    """
    told = summary(campaign, predicted, statuses)
    families, refused = findings.families(campaign, statuses)
    told["results"], told["left_out"] = [findings.as_data(family) for family in families], refused
    told["software"] = software()
    page = _environment().get_template("report.html").render(_context(campaign, told, families, refused))
    data = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        data.write_text(json.dumps(told, indent=1, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be written: {error}") from None
    return data


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mpiepm.campaign", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "size": size, "formula": _formula}
    return environment


def _formula(text: str) -> Markup:
    """HTML of a text with _x, ^x and ^(xyz) in it."""
    raised = re.sub(r"\^(?:\(([^)]*)\)|(\w))", r"<sup>\1\2</sup>", str(escape(text)))
    return Markup(re.sub(r"_(\w)\b", r"<sub>\1</sub>", raised))


def _context(campaign: Campaign, told: dict[str, Any], families: Sequence[Family], refused: Sequence[str]) -> dict[str, Any]:
    entries, total = told["points"], told["total"]
    counts = {state: sum(entry["status"] == state for entry in entries) for state in STATES}
    hours = [entry for entry in entries if entry["actual"]]
    return {
        "name": campaign.name, "file": campaign.file.name, "collected": told["collected"], "total": total, "entries": entries,
        "counts": {state: number for state, number in counts.items() if number},
        "attention": [entry for entry in entries if entry["status"] not in ("finished", "running", "queued")],
        "matrix": _matrix(entries), "states": _states(entries), "ratio": _ratio(total),
        "families": [(family, findings.sentences(family), _figures(family, f"f{k}"), _tables(family),
                      _collapses(family, f"f{k}"), _maps(family), _steps(family)) for k, family in enumerate(families)],
        "stationary": _stationary(campaign, told), "refused": refused, "strays": told["strays"],
        "cost_figure": _cost_figure(hours), "common": _common(entries), "software": told["software"],
        "origins": _origins(entries), "palettes": (figures.palette(dark=False), figures.palette(dark=True)),
        "map_scale": figures.map_scale(), "lengths": LENGTHS,
    }  # fmt: skip


def _ratio(total: dict[str, Any]) -> float | None:
    """Actual over predicted cost of what has finished."""
    predicted = total["predicted_core_hours_of_finished"]
    return total["core_hours"] / predicted if predicted else None


def _row_of(entry: dict[str, Any]) -> str:
    """The name of a state point without its temperature."""
    return ", ".join(p for p in entry["state_point"].split("/") if not p.startswith("T=")) or "all"


def _matrix(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many runs are finished, by temperature (columns) and all else (rows)."""
    columns = sorted({entry["axes"].get("T", np.nan) for entry in entries}, reverse=True)
    rows: dict[str, dict[Any, list[str]]] = {}
    for entry in entries:
        rows.setdefault(_row_of(entry), {}).setdefault(entry["axes"].get("T", np.nan), []).append(entry["status"])
    cells = {
        row: [(by[column].count("finished"), len(by[column]), min(by[column], key=_WORST.index)) if column in by else None
              for column in columns] for row, by in rows.items()
    }  # fmt: skip
    return {"columns": [f"{column:g}" for column in columns], "rows": cells}


def _states(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every state point: runs, cost predicted and actual."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        groups.setdefault(entry["state_point"], []).append(entry)
    rows = []
    for name, here in groups.items():
        done = [entry for entry in here if entry["actual"]]
        predicted = sum(entry["predicted"]["core_hours"] for entry in done)
        actual = sum(entry["actual"]["core_hours"] for entry in done)
        rows.append({
            "name": name, "runs": len(here), "done": len(done), "engine": here[0]["params"]["engine"]["name"],
            "ranks": here[0]["predicted"]["ranks"], "each": here[0]["predicted"]["seconds"],
            "took": float(np.mean([entry["actual"]["seconds"] for entry in done])) if done else None,
            "predicted": sum(entry["predicted"]["core_hours"] for entry in here), "actual": actual if done else None,
            "ratio": actual / predicted if predicted else None, "events": sum(entry["actual"]["events"] for entry in done),
            "archive": sum(entry["actual"]["archive"] for entry in done),
        })  # fmt: skip
    return rows


def _figures(family: Family, prefix: str) -> list[Figure]:
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


def _collapses(family: Family, prefix: str) -> list[Figure]:
    found = []
    for k, (quantity, best) in enumerate(family.collapses.items()):
        drawing = figures.svg(f"{prefix}-c{k}", f"collapse of {findings.label(quantity)}", figures.collapse(family, quantity))
        quality = f"S = {best.quality:.2g}, probability {best.probability:.2g}"
        over = f"{best.compared} of {len(best.points.value)} points compared, T ≤ {best.points.temperature.max():g}"
        caption = f"{findings.label(quantity)}: {findings.exponents(best)}; {quality}; {over}"
        found.append(Figure(drawing, caption, "collapse" if best.holds else "no collapse"))
    return found


def _tables(family: Family) -> list[dict[str, Any]]:
    """tau_alpha, chi4 peak, xi_4, ...: a row for each temperature, a column for each size."""
    found = []
    for quantity, steps in family.steps.items():
        marks = {(s.temperature, s.length): _mark(s) for s in steps} if quantity in _JUDGED else {}
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
            units = table[quantity].attrs.get("units", "1").replace("1", "")
            found.append({"title": findings.label(quantity), "units": units, "columns": family.lengths, "rows": rows})
    return found


def _mark(step: Step) -> str:
    if abs(step.deviation) > DIFFERENT:
        return "small"
    if abs(step.deviation) > DOUBTFUL or step.lengths < LENGTHS:
        return "doubtful"
    return "enough" if step.lengths >= LENGTHS else ""


def _steps(family: Family) -> list[tuple[str, Any, str, str, str, str]]:
    """Lines of the comparison from one size to the next."""
    return [
        (findings.label(quantity), s, findings.of(s.ratio), findings.of(s.slope), f"{s.deviation:.1f}", f"{s.lengths:.1f}")
        for quantity in _JUDGED for s in family.steps.get(quantity, []) if np.isfinite(s.larger)
    ]  # fmt: skip


def _maps(family: Family) -> list[dict[str, Any]]:
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


def _stationary(campaign: Campaign, told: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Runs of FMB, one by one: they have no origins, and no size dependence is sought."""
    rows = []
    for point, entry in zip(campaign.points, told["points"], strict=True):
        if isinstance(point.params, FerreroParameters) and entry["actual"]:
            run = read(point.folder)
            names = ("activity", "yield_rate", "stress_variance", "stress_kurtosis")
            rows.append((point.name, [findings.of(mean_over_time(run, name)) for name in names]))
    return rows


def _cost_figure(entries: Sequence[dict[str, Any]]) -> Figure | None:
    if not entries:
        return None
    predicted, actual = (np.array([entry[kind]["core_hours"] for entry in entries]) for kind in ("predicted", "actual"))
    caption = "Core-hours of every finished run, predicted and actual; shaded: a factor of two"
    return Figure(figures.svg("cost", caption, figures.costs(predicted, np.maximum(actual, 1e-6))), caption)


def _common(entries: Sequence[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Parameters that all points share, and those that vary with their values."""
    flat = [_flat(entry["params"]) for entry in entries]
    keys = sorted({key for one in flat for key in one})
    values = {key: list(dict.fromkeys(json.dumps(one.get(key)) for one in flat)) for key in keys}
    shown = {key: [("–" if value == "null" else value) for value in found] for key, found in values.items()}
    return {
        "vary": [(key, ", ".join(found[:12]) + " ..." * (len(found) > 12)) for key, found in shown.items() if len(found) > 1],
        "same": [(key, found[0]) for key, found in shown.items() if len(found) == 1],
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _origins(entries: Sequence[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Commits and hosts that the finished runs come from, with how many runs each."""
    places = [(entry["actual"]["git"], ", ".join(entry["actual"]["hosts"])) for entry in entries if entry["actual"]]
    return [(*place, places.count(place)) for place in sorted(set(places))]
