"""What every observer does: look at the state at scheduled lags, or receive the events, and record what it saw.

An observer never changes the state, and what it records does not depend on the number of ranks. It is one class in a file of
its own, which says all that others need: its keys of [output], its variables, what they take on disk and in memory, how it is
made. It registers itself, so no other file lists it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mpiepm.core import registry
from mpiepm.core.schedule import Every, LogSpaced, Never, Schedule
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
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


class Durations(NamedTuple):
    """Times that a forecast goes by: of equilibration, from an origin to the next, and of an origin; 0 where unknown."""

    equilibration: float
    spacing: float
    origin: float


class Setting(NamedTuple):
    """What an observer is made from.

    Attributes
    ----------
    made : observers made before it, by name
    tracers : those of the engine (`engine.tracers.Tracers`), None if it has none
    """

    domain: Domain
    params: Parameters
    made: dict[str, "Observer"]
    tracers: Any

    @property
    def often(self) -> Schedule:
        """When series and histograms are taken."""
        return often(self.params)


def wanted(params: Parameters) -> list[type["Observer"]]:
    """Classes of the observers that the parameters ask for, in the order of the archive."""
    kinds = registry.observers(stationary=params.run.stationary)
    return [kind for kind in kinds if kind.wanted(params)]


def often(params: Parameters) -> Schedule:
    """The lags of output.lags, or every output.interval of a stationary run."""
    output = params.output
    return Every(output.interval) if params.run.stationary else LogSpaced(output.lags.first, output.lags.per_decade)


class Observer:
    """An observer of nothing: the methods that the simulation calls, to be overridden. All but class methods are collective.

    Attributes
    ----------
    name : section of the checkpoint; an observer with a name registers itself
    of_origins, of_stationary : the kinds of runs that can have it
    order : place among the observers and in the archive; one that looks at another comes later
    variables : what it records
    schedule : lags (sweeps since the newest origin) at which `sample` is called
    watches_equilibration : does it keep or record anything before the first origin?
    """

    name: ClassVar[str] = ""
    of_origins: ClassVar[bool] = True
    of_stationary: ClassVar[bool] = True
    order: ClassVar[int] = 100
    variables: tuple[Variable, ...] = ()
    schedule: Schedule = Never()
    watches_equilibration: bool = False

    def __init_subclass__(cls) -> None:
        """Register it."""
        if cls.name:
            registry.add_observer(cls)

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """Its keys of [output], for one kind of run: type, and default or pydantic Field."""
        return {}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Do the parameters ask for it? Not unless it says so: a script may use it in another way."""
        return False

    @classmethod
    def make(cls, setting: Setting) -> "Observer":
        """One for a run. Collective."""
        return cls()

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Bytes that its variables and constants will take in the archive, by path."""
        return {}

    @classmethod
    def site_bytes(cls, params: Parameters) -> int:
        """Bytes for each site that it keeps in memory and saves in checkpoints."""
        return 0

    @classmethod
    def work_bytes(cls, params: Parameters) -> int:
        """Bytes for each site that it needs beside these while it works."""
        return 0

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
