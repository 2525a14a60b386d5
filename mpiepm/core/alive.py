"""Signs of life of this process: its main thread says whenever it has got on, and `watchdog` listens in another thread."""

import faulthandler
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_RELAY_SECONDS = 1.0


@dataclass
class _Signs:
    """How often it has got on, where it was in the trajectory, and what it does.

    Attributes
    ----------
    time, events : since the start of the run
    waiting : in a call of MPI that waits for other ranks
    compiling : passes of numba's compiler that run now, one inside the other
    patience : seconds that a call may take during which no other thread can run; 0: any
    relay : tells other processes that this one has got on, see `relayed`
    """

    count: int = 0
    time: float = 0.0
    events: int = 0
    waiting: bool = False
    compiling: int = 0
    patience: float = 0.0
    relay: Callable[[], object] | None = None


signs = _Signs()


def got_on() -> None:
    """A piece of work is done, however small."""
    signs.count += 1
    if signs.relay is not None:
        signs.relay()


def got_to(time: float, events: int) -> None:
    """The trajectory has gone on to this time and number of events."""
    signs.count += 1
    signs.time, signs.events = time, events


@contextmanager
def relayed(tell: Callable[[], object]) -> Iterator[None]:
    """Call `tell` when this process has got on in here, at most once a second: others wait for it."""
    told = time.monotonic()

    def relay() -> None:
        nonlocal told
        if time.monotonic() - told >= _RELAY_SECONDS:
            tell()
            told = time.monotonic()

    before, signs.relay = signs.relay, relay
    try:
        yield
    finally:
        signs.relay = before


@contextmanager
def deaf() -> Iterator[None]:
    """For calls of libraries that let no other thread run: a timer of the C library ends the process after `patience`.

    It leaves a traceback on the standard error. All other calls are left to `watchdog`.
    """
    if signs.patience:
        faulthandler.dump_traceback_later(signs.patience, exit=True)
    try:
        yield
    finally:
        if signs.patience:
            faulthandler.cancel_dump_traceback_later()
    signs.count += 1
