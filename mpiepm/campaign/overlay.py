"""Parameters laid over parameters, by dotted keys: what is written later holds, and what it contradicts falls away."""

from collections.abc import Mapping
from typing import Any

from mpiepm.campaign.values import OMIT, is_open, is_table, resolve
from mpiepm.core.params import ParameterError

Flat = dict[str, Any]
SHORT = {"L": "lattice.size", "T": "model.temperature", "a": "model.activity", "seed": "run.seed"}
_ONE_OF = (
    ("run.equilibrate.events_per_site", "run.equilibrate.time"),
    ("run.origin_events_per_site", "run.origin_duration", "run.stop_persistence"),
    ("model.temperature", "model.activity"),
    ("tracers.interval", "tracers.frames"),
)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Flat:
    """Nested sections to dotted keys; L, T, a and seed stand for the keys they abbreviate."""
    flat: Flat = {}
    for key, value in values.items():
        if not prefix and key in SHORT:
            flat[SHORT[key]] = [value, value] if key == "L" and isinstance(value, int) else value
        elif isinstance(value, Mapping) and value and not is_table(value):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def lay(below: Flat, above: Flat) -> Flat:
    """`above` over `below`. Another engine brings its own keys; of keys that exclude each other the new one stays."""
    result = dict(below)
    if "engine.name" in above and above["engine.name"] != below.get("engine.name"):
        result = {key: value for key, value in result.items() if not key.startswith("engine.")}
    for key in above:
        rivals = {rival for group in _ONE_OF if key in group for rival in group}
        parts = key.split(".")
        rivals |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
        result = {k: v for k, v in result.items() if k not in rivals and not k.startswith(f"{key}.")}
    return result | above


def settle(flat: Flat, axes: Mapping[str, Any]) -> Flat:
    """All tables and expressions resolved at the point with these axes; a choice may be a whole section."""
    settled = {key: value for key, value in flat.items() if not is_open(value)}
    for key, value in flat.items():
        if is_open(value) and (choice := resolve(key, value, axes)) != OMIT:
            section = isinstance(choice, Mapping) and choice
            settled = lay(settled, flatten(choice, f"{key}.") if section else {key: choice})
    return settled


def nest(flat: Flat) -> dict[str, Any]:
    """Dotted keys to sections.

    Raises
    ------
    ParameterError : if a key is both a value and a section
    """
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        section = nested
        for depth, part in enumerate(parents):
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise ParameterError(f"{'.'.join(parents[: depth + 1])}: is a value here and a section there")
        section[last] = value
    return nested
