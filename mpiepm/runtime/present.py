"""What of a simulation is looked at while it goes, by the guard and for the progress line."""

from typing import Protocol

from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.persistence import Persistence
from mpiepm.phases import Phases


class Present(Protocol):
    """Part of `simulation.Simulation`."""

    domain: Domain
    params: Parameters
    state: State
    phases: Phases
    persistence: Persistence | None

    @property
    def spacing(self) -> float | None:
        """Time from an origin to the next, unless it is a matter of P."""
