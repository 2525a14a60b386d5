"""Axes of a grid: the combinations of their values, and how the directory of each is called."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mpiepm.campaign.overlay import SHORT
from mpiepm.campaign.values import is_open, is_table
from mpiepm.core.faults import ParameterError
from mpiepm.core.wording import shown


def combinations(over: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Axes and their values at each point, the last axis running fastest.

    Raises
    ------
    ParameterError : if an axis has no values, or one that is still to be computed
    """
    axes: dict[str, list[Any]] = {}
    short = {full: name for name, full in SHORT.items() if name != "L"}  # these are numbers, L need not be one
    for written, values in _leaves(over):
        key = short.get(written, written)
        if key == "seed" and isinstance(values, int) and not isinstance(values, bool) and values > 0:
            values = list(range(1, values + 1))
        if not isinstance(values, list) or not values:
            seeds = ", or a number of seeds, at least 1" * (key == "seed")
            raise ParameterError(f"over.{written} = {shown(values)}: must be a list of values{seeds}")
        if computed := list(filter(_is_open_inside, values)):
            raise ParameterError(f"over.{written} = {shown(computed[0])}: must be a value; tables and expressions go into set")
        if key in axes:
            raise ParameterError(f"over.{written}: is {key}, which is given already")
        axes[key] = values
    for combination in itertools.product(*axes.values()):
        yield dict(zip(axes, combination, strict=True))


def _leaves(over: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in over.items():
        if isinstance(value, Mapping) and not is_table(value):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_open_inside(value: Any) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return is_open(value) or any(map(_is_open_inside, inner))


def label(axes: Mapping[str, Any]) -> str:
    """Directory of the point: L=64/T=0.02, engine.name=split, lattice.size=64x32."""
    return "/".join(_label(key, value) for key, value in axes.items())


def _label(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(_label(f"{key}.{inner}", item) for inner, item in value.items())
    if isinstance(value, list):
        text = "x".join(str(item) for item in value)
    else:
        text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.+=,-]", "_", f"{key}={text}")
