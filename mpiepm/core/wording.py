"""What is wrong with a parameter, in one line: the dotted key, the value found, what is allowed."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

_LONGEST = 60  # of a value that is shown
_SYMBOLS = {  # what papers and other programs call a key
    "T": ("model.temperature",),
    "L": ("lattice.size",),
    "N": ("lattice.size",),
    "Lx": ("lattice.size",),
    "Ly": ("lattice.size",),
    "dt": ("engine.time_step", "engine.window"),
    "a": ("model.barrier_exponent",),
    "K": ("model.stiffness",),
    "sigma_c": ("model.threshold",),
    "sigma_Y": ("model.threshold",),
    "z0": ("model.mean_drop",),
    "mu": ("model.shear_modulus",),
    "R": ("model.initial_stress_std",),
    "M": ("engine.harmonics",),
}
_ALLOWED = {
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a section",
    "model_attributes_type": "a section",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
}


def describe(root: type[BaseModel], error: Mapping[str, Any], others: Mapping[str, type[BaseModel]]) -> str:
    """One fault that pydantic has found in the parameters `root`.

    others : the parameters of the other models, by the name of the model
    """
    kind, location, value = error["type"], error["loc"], error["input"]
    context = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in error.get("ctx", {}).items()}
    key = _dotted(location)
    if kind == "extra_forbidden":
        return f"{key}: unknown key; {_hint(root, location, others)}"
    if kind in ("missing", "too_long") and isinstance(value, list | tuple):
        list_key = _dotted(location[:-1] if kind == "missing" else location)
        return f"{list_key} = {shown(value)}: must be a list of {len(get_args(_field(root, location).annotation))} numbers"
    if kind == "missing":
        return f"{key}: required, but not given"
    if kind == "value_error":
        return _own(root, location, error["msg"].removeprefix("Value error, "))
    if kind == "union_tag_invalid":
        key, value = f"{key}.name", value["name"]
    allowed = _ALLOWED[kind].format(**context) if kind in _ALLOWED else error["msg"]
    if kind == "tuple_type" and isinstance(value, int | float) and not isinstance(value, bool):
        entries = [entry for entry in get_args(_field(root, location).annotation) if entry is not Ellipsis]
        number = f" of {len(entries)} numbers" if len(entries) > 1 else ""
        allowed = f"a list{number}, such as {[value] * len(entries)}"
    if isinstance(value, int) and not isinstance(value, bool) and kind == "float_type":
        allowed = "a finite number"  # one too large for a float
    return f"{key} = {shown(value)}: must be {allowed}"


def shown(value: Any) -> str:
    """The value on one line, cut where it is long."""
    try:
        text = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # Python writes no integers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _dotted(location: Sequence[Any]) -> str:
    """Key as in the file: without the variant of the engine, with [k] for the entries of a list."""
    parts = [part for k, part in enumerate(location) if location[:k] != ("engine",) or len(location) == 1]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _own(root: type[BaseModel], location: Sequence[Any], message: str) -> str:
    """A message of our validators: a key that it begins with gets its section."""
    section = _dotted(location)
    first = message.split(maxsplit=1)[0]
    if not section or message.startswith(f"{section}."):
        return message
    joint = "." if any(first in found.model_fields for found in _sections(root, location)) else ": "
    return f"{section}{joint}{message}"


def _hint(root: type[BaseModel], location: Sequence[Any], others: Mapping[str, type[BaseModel]]) -> str:
    *path, key = location
    here = [name for section in _sections(root, path) for name in section.model_fields]
    for name, other in others.items():
        if any(key in section.model_fields for section in _sections(other, path[:1])):
            return f"it belongs to model.name = {name!r}"
    for section in _sections(root, path[:1]):
        if key in section.model_fields:
            return f"it belongs to {path[0]}.name = {section.model_fields['name'].default!r}"
    near = difflib.get_close_matches(str(key), here, n=1, cutoff=0.8 if _elsewhere(root, key) else 0.5)
    if not near and (place := _elsewhere(root, key)):
        return place
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(here)}"


def _elsewhere(root: type[BaseModel], key: Any) -> str:
    """Where a key belongs that stands in the wrong section, or is a symbol of the papers; "" if that is not known."""
    for name in _SYMBOLS.get(key, ()):
        section, _, proper = name.partition(".")
        if any(proper in found.model_fields for found in _sections(root, [section])):
            return f"did you mean {proper} in [{section}]?"
    for section in root.model_fields:
        if any(key in found.model_fields for found in _sections(root, [section])):
            return f"it belongs to [{section}]"
    return ""


def _field(root: type[BaseModel], location: Sequence[Any]) -> Any:
    """The field that holds the list which `location` is, or is in."""
    names = [part for part in location if isinstance(part, str)]
    return _sections(root, names[:-1])[0].model_fields[names[-1]]


def _sections(root: type[BaseModel], location: Sequence[Any]) -> list[type[BaseModel]]:
    """The section at `location`, or its variants as long as `location` names none of them."""
    options = [root]
    for part in (part for part in location if isinstance(part, str)):  # the place in a list tells nothing
        if variants := [o for o in options if len(options) > 1 and o.model_fields["name"].default == part]:
            options = variants
        else:
            options = [section for o in options for section in _inside(o, part)]
    return options


def _inside(section: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    field = section.model_fields.get(key)
    for candidate in (field.annotation, *get_args(field.annotation)) if field else ():
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield candidate
