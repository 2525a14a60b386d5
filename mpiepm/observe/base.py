"""What every observer does: look at the state at scheduled lags, or receive the events, and record what it saw.

An observer never changes the state, and what it records does not depend on the number of ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpiepm.core.schedule import Never, Schedule
from mpiepm.models.state import Events, State

Record = Callable[[str, np.ndarray | float | int], None]
EQUILIBRATION = -1  # instead of the number of an origin: while the start is being discarded
ENDING = -2         # after the last origin has begun and the time of one more has passed, until the last one ends


@dataclass(frozen=True)
class Variable:
    """One variable of the archive; every record adds an entry along its first dimension.

    Attributes
    ----------
    name : path in the file;  dims : names of its dimensions, in the order of the array
    dtype, units, description : of the values; units name those of the model as {time}, {rate}, {stress}
    distributed : each record is this rank's rows of a field (x, y); otherwise the same on all ranks
    items : distributed only: a record is this rank's even share of so many items in their order, 0: its rows of the lattice
    width : distributed only: columns of a record, 0: those of the lattice
    ragged : records may differ in length; short ones are filled up with NaN
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    description: str
    distributed: bool = False
    ragged: bool = False
    items: int = 0
    width: int = 0


def series(name: str, dtype: str, units: str, description: str) -> Variable:
    """series/`name`: one entry for every scheduled time."""
    return Variable(f"series/{name}", ("entry",), dtype, units, description)


class Observer:
    """An observer of nothing: the methods that the simulation calls, to be overridden. All are collective.

    Attributes
    ----------
    name : section of the checkpoint
    variables : what it records
    schedule : lags (sweeps since the newest origin) at which `sample` is called
    watches_equilibration : does it keep or record anything before the first origin?
    """

    name: str = ""
    variables: tuple[Variable, ...] = ()
    schedule: Schedule = Never()
    watches_equilibration: bool = False

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """A phase begins: from an origin to the next, or EQUILIBRATION, or ENDING."""

    def receive(self, events: Events) -> None:
        """Events of this rank's rows have happened; the arrays are only valid during the call."""

    def sample(self, state: State, lag: float, record: Record) -> None:
        """The scheduled `lag` has passed: state.time is the first boundary of the engine at or after it."""

    def end_phase(self, state: State, record: Record) -> None:
        """The phase ends at state.time, which becomes the new 0."""

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars and fields for a checkpoint."""
        return {}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""

    def warnings(self, time: str) -> list[str]:
        """Lines that the user should see at the end of the run; `time` is the unit of time."""
        return []

    def constants(self) -> dict[str, np.ndarray]:
        """Variables that are no records, known from the start: coordinates, bin edges."""
        return {}
