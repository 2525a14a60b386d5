"""Parameters laid over parameters, by dotted keys: what is written later holds, and what it contradicts falls away."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mpiepm.campaign.values import OMIT, is_table, resolve
from mpiepm.core.engine_sections import Auto, Event, Split, Step, Sweep
from mpiepm.core.faults import ParameterError

Flat = dict[str, Any]
SHORT = {"L": "lattice.size", "T": "model.temperature", "a": "model.activity", "seed": "run.seed"}
_ONE_OF = (
    ("run.equilibrate.events_per_site", "run.equilibrate.time"),
    ("run.origin_events_per_site", "run.origin_duration", "run.stop_persistence"),
    ("model.temperature", "model.activity"),
    ("tracers.interval", "tracers.frames"),
)
_ENGINES = {kind.model_fields["name"].default: kind for kind in (Sweep, Event, Split, Auto, Step)}


def flatten(values: Mapping[str, Any], prefix: str = "") -> Flat:
    """Nested sections to dotted keys; L, T, a and seed stand for the keys they abbreviate."""
    flat: Flat = {}
    for key, value in values.items():
        if not prefix and key in SHORT:
            flat[SHORT[key]] = value
        elif isinstance(value, Mapping) and value and not is_table(value):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def settle(layers: Sequence[Flat], axes: Mapping[str, Any]) -> Flat:
    """Layers over each other, the last on top, at the point with these axes: without tables and expressions.

    Raises
    ------
    ParameterError : if a value cannot be found, unless another is written over it
    """
    settled = overlay(layers, axes)
    for value in settled.values():
        if isinstance(value, ParameterError):
            raise value
    return {key: value for key, value in settled.items() if value != OMIT}


def overlay(layers: Sequence[Flat], axes: Mapping[str, Any]) -> Flat:
    """As `settle`, with OMIT where a key is omitted, and an error in place of a value that cannot be found.

    From the top: the keys of an engine fall away with the layer that names it, and a layer that names none says more about
    the engine of the next one above or, if there is none, below.
    """
    settled: Flat = {}
    for layer in reversed(layers):
        settled = _lay(_resolved(layer, axes), settled)
    return settled


def _resolved(layer: Flat, axes: Mapping[str, Any]) -> Flat:
    """All values at the point with these axes; a choice may be a whole section."""
    found: Flat = {}
    for key, value in layer.items():
        try:
            choice = resolve(key, value, axes)
        except ParameterError as error:
            choice = error
        if key == "lattice.size" and isinstance(choice, int | float) and not isinstance(choice, bool):
            choice = [choice, choice]
        section = isinstance(choice, Mapping) and choice
        found |= _resolved(flatten(choice, f"{key}."), axes) if section else {key: choice}
    return found


def _lay(below: Flat, above: Flat) -> Flat:
    """`above` over `below`. Another engine brings its own keys; of keys that exclude each other the new one stays."""
    gone = {rival for group in _ONE_OF if any(above.get(key, OMIT) != OMIT for key in group) for rival in group}
    engine = below.get("engine.name")
    if "engine.name" in above and above["engine.name"] != engine and isinstance(engine, str) and engine in _ENGINES:
        gone |= {f"engine.{key}" for key in _ENGINES[engine].model_fields}
    sections = {parent for key in above for parent in _parents(key)}
    kept = {
        key: value
        for key, value in below.items()
        if key not in gone
        and above.keys().isdisjoint(_parents(key))
        and (key not in sections or isinstance(value, ParameterError))  # that may have been a section with more keys
    }
    return kept | above


def _parents(key: str) -> Iterator[str]:
    """Sections that the key is in: a.b.c is in a and in a.b."""
    parts = key.split(".")
    return (".".join(parts[:depth]) for depth in range(1, len(parts)))


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
