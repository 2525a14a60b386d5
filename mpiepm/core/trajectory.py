"""What identifies a trajectory: every parameter, except those whose field carries a `Change`.

A run may be resumed with other values of the excepted parameters. The field of a parameter says
when: ``key: Annotated[type, Change.ALWAYS]``.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from pydantic import BaseModel

from mpiepm.core.wording import shown


class Change(Enum):
    """When a parameter of a run may change.

    ALWAYS : at any time; an emptied list is a removal, and belongs to EQUILIBRATING
    EQUILIBRATING : while the run equilibrates, so that every origin is observed in the same way
    LENGTH : while no more than the new length is done
    """

    ALWAYS = 1
    EQUILIBRATING = 2
    LENGTH = 3


class Reached(NamedTuple):
    """How far a run has come: number of origins that have begun, and the time since the newest of them."""

    origins: int
    time: float


class Difference(NamedTuple):
    """A parameter that has two values; `change` is None if it identifies the trajectory."""

    key: str
    old: Any
    new: Any
    change: Change | None

    def __str__(self) -> str:
        return f"{self.key} is {_shown(self.old)} there and {_shown(self.new)} here"

    def refusal(self, reached: Reached | None) -> str:
        """Why a run that has come so far (None: not begun) cannot take the new value; "" if it can."""
        if self.change is None:
            return str(self)
        if reached is None:
            return ""
        if self.change is Change.LENGTH:
            done = reached.origins if isinstance(self.new, int) else min(reached.time, self.old)
            return "" if min(self.old, self.new) >= done else f"{self}, where {done:g} is done"
        removed = self.change is Change.ALWAYS and self.new == () and self.old
        if reached.origins and (self.change is Change.EQUILIBRATING or removed):
            return f"{self}, which may change only before the first origin begins"
        return ""


def differences(old: BaseModel, new: BaseModel) -> list[Difference]:
    """Every parameter in which two sets differ; where the names of model or engine differ, the names stand for all."""
    if type(old) is not type(new):
        return list(_differences(getattr(old, "model", old), getattr(new, "model", new), "model.", None))
    return list(_differences(old, new, "", None))


def _differences(old: BaseModel, new: BaseModel, prefix: str, change: Change | None) -> Iterator[Difference]:
    if type(old) is not type(new):
        yield Difference(f"{prefix}name", getattr(old, "name", None), getattr(new, "name", None), change)
        return
    for name, field in sorted(type(new).model_fields.items()):
        a, b = getattr(old, name), getattr(new, name)
        here = next((mark for mark in field.metadata if isinstance(mark, Change)), change)
        if isinstance(a, BaseModel) and isinstance(b, BaseModel):
            yield from _differences(a, b, f"{prefix}{name}.", here)
        elif a != b:
            yield Difference(prefix + name, a, b, here)


def refusals(old: BaseModel, new: BaseModel, reached: Reached | None) -> list[str]:
    """Why a run of the `old` parameters that has come so far cannot go on with the `new` ones: one entry per parameter."""
    return [why for difference in differences(old, new) if (why := difference.refusal(reached))]


def is_longer(new: BaseModel, old: BaseModel) -> bool:
    """Do the `new` parameters ask for more origins, or a longer run, than the `old` ones?"""
    return any(found.change is Change.LENGTH and found.new > found.old for found in differences(old, new))


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    return shown(list(value) if isinstance(value, tuple) else value)
