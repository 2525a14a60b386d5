"""State of a lattice slab: what a trajectory is, apart from the counters of its engine."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class State:
    """Fields of this rank's rows and the clock. Who is no engine reads them, and changes them by `Simulation.change` only.

    Attributes
    ----------
    stress, plastic_strain : float64 (local rows, Ly); stress in units of sigma_c, strain in units of sigma_c / mu
    time : sweeps since the current origin, so that late times keep their resolution
    origin_time : sweeps from the start of the run to the current origin
    events : events on the whole lattice since the start of the run
    active : int8 (local rows, Ly), events of finite duration only: their sign where one is going on, else 0
    active_steps : sum over all steps since the start of the run of the number of active sites of the whole lattice
    """

    stress: np.ndarray
    plastic_strain: np.ndarray
    time: float = 0.0
    origin_time: float = 0.0
    events: int = 0
    active: np.ndarray | None = None
    active_steps: int = 0

    def begin_origin(self) -> None:
        """Make the present the new origin of time."""
        self.origin_time += self.time
        self.time = 0.0

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars and fields for a checkpoint."""
        scalars: dict[str, Any] = {"time": self.time, "origin_time": self.origin_time, "events": self.events}
        fields = {"stress": self.stress, "plastic_strain": self.plastic_strain}
        if self.active is not None:
            scalars["active_steps"] = self.active_steps
            fields["active"] = self.active
        return scalars, fields

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self.time, self.origin_time, self.events = scalars["time"], scalars["origin_time"], scalars["events"]
        self.stress[:], self.plastic_strain[:] = fields["stress"], fields["plastic_strain"]
        if self.active is not None:
            self.active[:], self.active_steps = fields["active"], scalars["active_steps"]


@dataclass(frozen=True)
class Events:
    """Plastic events on this rank's rows; those of one site are in the order of time.

    Attributes
    ----------
    row : int64 (n,), global row;  column : int64 (n,)
    time : float64 (n,), sweeps since the current origin
    drop : float64 (n,), signed stress drop of the site
    angle : float64 (n,), orientation psi in [0, pi/2)
    stability : float64 (n,), extremal dynamics only: 1 - |stress| / threshold of the site before the event, of an
        unstable one just a negative number
    """

    row: np.ndarray
    column: np.ndarray
    time: np.ndarray
    drop: np.ndarray
    angle: np.ndarray
    stability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)
