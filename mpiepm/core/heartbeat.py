"""The heartbeat of this process: its main thread counts what it has done, and `runtime.watchdog` looks at the count."""

import faulthandler
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_RELAY_SECONDS = 1.0


@dataclass
class Heartbeat:
    """How many pieces of work a process has done, where it is in the trajectory, and what it does.

    Attributes
    ----------
    time, events : since the start of the run
    waiting : in a call of MPI that waits for other ranks
    compiling : passes of numba's compiler that run now, one inside the other
    patience : seconds that a call may take during which no other thread can run; 0: any
    relay : tells other processes of each beat, see `relayed`
    """

    count: int = 0
    time: float = 0.0
    events: int = 0
    waiting: bool = False
    compiling: int = 0
    patience: float = 0.0
    relay: Callable[[], object] | None = None


own = Heartbeat()


def beat() -> None:
    """A piece of work is done, however small."""
    own.count += 1
    if own.relay is not None:
        own.relay()


def reached(time: float, events: int) -> None:
    """The trajectory has gone on to this time and number of events."""
    own.count += 1
    own.time, own.events = time, events


@contextmanager
def relayed(tell: Callable[[], object]) -> Iterator[None]:
    """Call `tell` at beats in here, at most once a second: other processes wait for this one."""
    told = time.monotonic()

    def relay() -> None:
        nonlocal told
        if time.monotonic() - told >= _RELAY_SECONDS:
            tell()
            told = time.monotonic()

    before, own.relay = own.relay, relay
    try:
        yield
    finally:
        own.relay = before


@contextmanager
def blocking() -> Iterator[None]:
    """For calls of libraries during which no other thread can run: a timer ends the process after `patience`.

    The timer is that of the C library, and leaves a traceback on the standard error. All other calls are left to the watchdog.
    """
    if own.patience:
        faulthandler.dump_traceback_later(own.patience, exit=True)
    try:
        yield
    finally:
        if own.patience:
            faulthandler.cancel_dump_traceback_later()
    own.count += 1
