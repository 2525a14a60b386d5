"""The report of a campaign: one HTML page that needs nothing else, and the same in JSON for machines."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mpiepm.analysis.read import flat, read
from mpiepm.analysis.scaling import LENGTHS
from mpiepm.analysis.stationary import mean_over_time
from mpiepm.campaign import exhibits, figures, findings
from mpiepm.campaign.collect import summary
from mpiepm.campaign.cost import Cost
from mpiepm.campaign.findings import Family
from mpiepm.campaign.grid import Campaign
from mpiepm.campaign.status import STATES, Status
from mpiepm.core.amounts import in_bytes, in_time
from mpiepm.core.faults import ParameterError
from mpiepm.io.disk import write_text
from mpiepm.io.provenance import software

PAGE, DATA = "report.html", "report.json"
_WORST = ("failed", "unfinished", "missing", "queued", "running", "finished")


def write(campaign: Campaign, predicted: dict[str, Cost], statuses: dict[str, Status], path: Path) -> Path:
    """Write the page to `path`, and its numbers beside it with the suffix .json; returns that.

    Raises
    ------
    ParameterError : if they cannot be written
    """
    told = summary(campaign, predicted, statuses)
    families, refused = findings.families(campaign, statuses)
    stationary = _stationary(campaign, told, refused)
    told["results"], told["left_out"] = [findings.as_data(family) for family in families], refused
    told["software"] = software()
    page = _environment().get_template("report.html").render(_context(campaign, told, families, stationary))
    data = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
        write_text(data, json.dumps(told, indent=1, default=str) + "\n")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be written: {error}") from None
    return data


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mpiepm.campaign", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": in_time, "size": in_bytes, "formula": _formula}
    return environment


def _formula(text: str) -> Markup:
    """HTML of a text with _x, ^x and ^(xyz) in it."""
    raised = re.sub(r"\^(?:\(([^)]*)\)|(\w))", r"<sup>\1\2</sup>", str(escape(text)))
    return Markup(re.sub(r"_(\w)\b", r"<sub>\1</sub>", raised))


def _context(
    campaign: Campaign, told: dict[str, Any], families: Sequence[Family], stationary: Sequence[tuple[str, list[str]]]
) -> dict[str, Any]:
    entries, total = told["points"], told["total"]
    counts = {state: sum(entry["status"] == state for entry in entries) for state in STATES}
    hours = [entry for entry in entries if entry["actual"]]
    return {
        "name": campaign.name, "file": campaign.file.name, "collected": told["collected"], "total": total, "entries": entries,
        "counts": {state: number for state, number in counts.items() if number},
        "attention": [entry for entry in entries if entry["status"] not in ("finished", "running", "queued")],
        "matrix": _matrix(entries), "states": _states(entries), "ratio": _ratio(total),
        "families": [(family, findings.sentences(family), exhibits.drawings(family, f"f{k}"), exhibits.tables(family),
                      exhibits.collapses(family, f"f{k}"), exhibits.maps(family), exhibits.steps(family),
                      findings.notes(family))
                     for k, family in enumerate(families)],
        "stationary": stationary, "refused": told["left_out"], "strays": told["strays"],
        "cost_figure": _cost_figure(hours), "common": _common(entries), "software": told["software"],
        "origins": _origins(entries), "palettes": (figures.palette(dark=False), figures.palette(dark=True)),
        "map_scale": figures.map_scale(), "lengths": LENGTHS, "shown": exhibits.SHOWN,
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
    """Of every state point: runs, cost predicted and actual; memory and archive of its largest run."""
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
            "memory": max(entry["predicted"]["memory"] for entry in here),
            "memory_used": max((entry["actual"]["memory"] or 0 for entry in done), default=0),
            "archive": max(entry["predicted"]["archive"] for entry in here),
            "archive_left": max((entry["actual"]["archive"] for entry in done), default=0),
        })  # fmt: skip
    return rows


def _stationary(campaign: Campaign, told: dict[str, Any], left_out: list[str]) -> list[tuple[str, list[str]]]:
    """Runs of FMB, one by one: they have no origins, and no size dependence is sought. Damaged ones go to `left_out`."""
    rows = []
    for point, entry in zip(campaign.points, told["points"], strict=True):
        if point.params.run.stationary and entry["actual"]:
            try:
                run = read(point.folder)
            except ParameterError as error:
                left_out.append(f"{point.name}: left out: {error}")
                continue
            names = ("activity", "yield_rate", "stress_variance", "stress_kurtosis")
            rows.append((point.name, [findings.of(mean_over_time(run, name)) for name in names]))
    return rows


def _cost_figure(entries: Sequence[dict[str, Any]]) -> exhibits.Figure | None:
    if not entries:
        return None
    predicted, actual = (np.array([entry[kind]["core_hours"] for entry in entries]) for kind in ("predicted", "actual"))
    caption = "Core-hours of every finished run, predicted and actual; shaded: a factor of two"
    return exhibits.Figure(figures.svg("cost", caption, figures.costs(predicted, np.maximum(actual, 1e-6))), caption)


def _common(entries: Sequence[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Parameters that all points share, and those that vary with their values."""
    params = [flat(entry["params"]) for entry in entries]
    keys = sorted({key for one in params for key in one})
    values = {key: list(dict.fromkeys(json.dumps(one.get(key)) for one in params)) for key in keys}
    shown = {key: [("–" if value == "null" else value) for value in found] for key, found in values.items()}
    return {
        "vary": [(key, ", ".join(found[:12]) + " ..." * (len(found) > 12)) for key, found in shown.items() if len(found) > 1],
        "same": [(key, found[0]) for key, found in shown.items() if len(found) == 1],
    }


def _origins(entries: Sequence[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Commits and hosts that the finished runs come from, with how many runs each."""
    places = [(entry["actual"]["git"], ", ".join(entry["actual"]["hosts"])) for entry in entries if entry["actual"]]
    return [(*place, places.count(place)) for place in sorted(set(places))]
