"""What every engine does: bring a state forward in time, exactly the same way wherever one stops."""

from collections.abc import Callable, Generator
from typing import Any, Protocol

import numpy as np

from mpiepm.models.state import Events, State


class Engine(Protocol):
    """Dynamics of the lattice on all ranks.

    The path contract: the trajectory does not depend on the stops. `advance(state, s); advance(state, t)` performs the
    same events as `advance(state, t)`, so outputs, progress and checkpoints change nothing.
    """

    def boundary(self, time: float) -> float:
        """Earliest time >= `time` (sweeps since the origin) at which the engine can stop; the same on all ranks."""

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
        """Bring `state` to `until`, which must be a `boundary`, handing out the events performed on the way. Collective.

        Every rank is handed the same number of batches, with the events of its own rows. Where nothing happens, empty
        batches come often enough for a caller that has to look at the clock. The caller may close the generator after
        any batch: the state is then at `state.time` < `until`, and the next call goes on from there.
        """

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """Let `alter` change stress, plastic strain or activity, between two calls of `advance`. Collective.

        What has happened is in the stress of this rank's rows before `alter` sees it; clocks and bounds then go on from the new
        stress, exactly: the rest of an exponential waiting time is exponential.

        Raises
        ------
        RunError : on all ranks, from here or from `advance`, if the stress was changed in another way
        """

    def begin_origin(self, time: float) -> None:
        """The present, `time` sweeps after the last origin, becomes the new one."""

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars, the same on all ranks, and fields (local rows, any number) for a checkpoint."""

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
