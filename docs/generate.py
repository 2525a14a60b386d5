"""Writes docs/reference.md from what models, engines and observers declare.

python docs/generate.py [--check]       --check: exit code 1 if the page differs
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mpiepm.core.sections import StationaryRun
from mpiepm.engine.layout import slabs
from mpiepm.grid.domain import ALONE
from mpiepm.models.base import models
from mpiepm.models.parameters import from_values, parameters_of
from mpiepm.observe import final
from mpiepm.simulation import Simulation

PAGE = Path(__file__).parent / "reference.md"
HEAD = """# Reference

Written by `python docs/generate.py` from the declarations in the code. [parameters.md](parameters.md) and
[archive.md](archive.md) explain.
"""
ALL = {  # a run of each kind with everything that it can record
    False: {"run": {"origins": 1}, "output": {"snapshots": [1.0], "waiting_times": True, "event_counts": True,
            "correlations": {}, "four_point": {}, "clusters": {}, "avalanches": {}}},
    True: {"run": {"equilibrate": {"time": 1.0}, "duration": 2.0}, "tracers": {"number": 1},
           "output": {"snapshots": [1.0], "event_counts": True, "correlations": {}}},
}  # fmt: skip


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Dotted key, default and meaning of all keys."""
    for name, field in section.model_fields.items():
        candidates = (field.annotation, *get_args(field.annotation))
        inner = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for kind in inner:
            variant = kind.model_fields["name"].default if len(inner) > 1 else ""
            yield from keys(kind, f"{prefix}{name}{f' ({variant})' if variant else ''}.")
        if not inner:
            required = field.default is PydanticUndefined and field.default_factory is None
            default = "required" if required else _shown(field.get_default(call_default_factory=True))
            yield prefix + name, default, field.description or ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"`{list(value) if isinstance(value, tuple) else value!r}`"


def page() -> str:
    """The whole of it."""
    lines = [HEAD]
    for name, model in models().items():
        lines += [f'## Keys of model "{name}"', "", *_table("key", "default", "meaning")]
        lines += [_row(f"`{key}`", default, meaning) for key, default, meaning in keys(parameters_of(model))]
        chosen = ALL[issubclass(model.run, StationaryRun)]
        params = from_values({"lattice": {"size": [8, 8]}, "model": {"name": name, "temperature": 0.2}, **chosen})
        simulation = Simulation(slabs(params, ALONE), params)
        lines += ["", f'## Archive of model "{name}"', "", *_table("variable", "dimensions", "type", "units", "meaning")]
        for v in [v for o in simulation.observers for v in o.variables] + list(final.variables(simulation.state)):
            lines.append(_row(f"`{v.name}`", ", ".join(v.dims), v.dtype, params.units.of(v.units), v.description))
        lines += [_row(f"`{key}`", "", "", "", "coordinate, or edges of bins") for key in sorted(simulation.constants())]
        lines.append("")
    return "\n".join(lines)


def _table(*titles: str) -> tuple[str, str]:
    return _row(*titles), "|---" * len(titles) + "|"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != text)
    PAGE.write_text(text)
