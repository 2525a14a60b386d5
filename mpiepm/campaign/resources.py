"""What a run asks of a machine: ranks, nodes, time, memory; and how small runs are packed into jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeGuard

from pydantic import Field, model_validator

from mpiepm.campaign.values import OMIT
from mpiepm.campaign.values import resolve as resolve_value
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import LARGEST, Section
from mpiepm.core.wording import shown
from mpiepm.runtime.limits import duration

Amount = Any  # looked at when it is resolved


class Needs(Section):
    """[resources], each a number, a table or an expression in L, T and the other axes (see `campaign.values`)."""

    ranks: Amount = Field(default=1, description="MPI ranks of a run")
    nodes: Amount = Field(default=1, description="nodes they are spread over")
    walltime: Amount = Field(default="24h", description="of a job: hours, or 90s, 30m, 24h, 2d; it is requeued until done")
    memory: Amount | None = Field(default=None, description="of a run, GB; default: as predicted, and half as much again")


class Packing(Section):
    """[packing]: short runs of few ranks share an allocation, as many at a time as it has room for."""

    ranks: Annotated[int, Field(ge=1)] = Field(default=1, description="pack points of at most so many ranks")
    shorter_than: float | str = Field(default="2h", description="and which are predicted to take less than this on their own")
    cores: Annotated[int, Field(ge=1)] = Field(default=16, description="of the allocation")
    points: Annotated[int, Field(ge=1)] = Field(default=200, description="most points in one allocation")

    @model_validator(mode="after")
    def _possible(self) -> "Packing":
        if self.ranks > self.cores:
            raise ValueError(f"ranks = {self.ranks}, cores = {self.cores}: ranks must be at most cores")
        try:
            seconds("shorter_than", self.shorter_than)
        except ParameterError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def longest(self) -> float:
        """Seconds that `shorter_than` stands for."""
        return seconds("shorter_than", self.shorter_than)


@dataclass(frozen=True)
class Resources:
    """Needs of one run.

    Attributes
    ----------
    walltime : seconds;  memory : GB, None: as predicted
    """

    ranks: int = 1
    nodes: int = 1
    walltime: float = 86400.0
    memory: float | None = None


def seconds(key: str, value: object) -> float:
    """A duration: hours as a number, or as the option --walltime has it (90s, 30m, 24h, 2d, HH:MM:SS).

    Raises
    ------
    ParameterError : if it is neither, or not above 0
    """
    if _is_number(value) and 0 < value <= LARGEST:
        return 3600.0 * value
    try:
        return duration(str(value))
    except ParameterError as error:
        raise ParameterError(f"{key} = {value!r}: {str(error).partition(': ')[2]}, or hours") from None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def resolve(needs: Needs, axes: Mapping[str, Any]) -> Resources:
    """Needs of the point with these axes.

    Raises
    ------
    ParameterError : if a value is of the wrong kind
    """
    default = Needs()
    found: dict[str, Any] = {}
    for key in Needs.model_fields:
        value = resolve_value(f"resources.{key}", getattr(needs, key), axes)
        found[key] = getattr(default, key) if value == OMIT else value
    for key in ("ranks", "nodes"):
        if not isinstance(found[key], int) or not _is_number(found[key]) or found[key] < 1:
            raise ParameterError(f"resources.{key} = {shown(found[key])}: must be a whole number of at least 1")
    if found["nodes"] > found["ranks"]:
        raise ParameterError(f"resources.nodes = {found['nodes']}, ranks = {found['ranks']}: a node needs a rank")
    memory = found["memory"]
    if memory is not None and not (_is_number(memory) and 0 < memory <= LARGEST):
        raise ParameterError(f"resources.memory = {shown(memory)}: must be a number of GB above 0")
    walltime = seconds("resources.walltime", found["walltime"])
    return Resources(found["ranks"], found["nodes"], walltime, None if memory is None else float(memory))
