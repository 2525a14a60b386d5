"""The watchdog's thread: ranks that wait are not given up as long as one works, and waits are told from work."""

import os
import threading
import time
from pathlib import Path

import pytest

from mpiepm.core import heartbeat
from mpiepm.grid.communicator import WAITING
from mpiepm.grid.domain import ALONE, Domain
from mpiepm.models.parameters import parse
from mpiepm.runtime.watchdog import _LINE, LIMIT, _Watchdog


class Pair(Domain):
    """Seems to be rank 1 of two."""

    def __init__(self) -> None:
        super().__init__((9, 14), ALONE)
        self.rank, self.size = 1, 2


def tell(path: Path, count: int) -> None:
    """The line of rank 0."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(descriptor, f"7 {count} there busy in checksum.py:1, f".encode().ljust(_LINE - 1) + b"\n", 0)
    os.close(descriptor)


def test_who_waits_is_alive_as_long_as_another_gets_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We do nothing for longer than the limit while rank 0 gets on; then it stops as well."""
    path, given_up = tmp_path / "heartbeats", threading.Event()
    monkeypatch.setattr(_Watchdog, "_give_up", lambda self, counts, seconds: given_up.set())
    watchdog = _Watchdog(Pair(), path, 1.0)
    watchdog.start()
    count = 0
    while watchdog._woken < 15:  # one and a half limits
        count += 1
        tell(path, count)
        time.sleep(0.01)
    assert not given_up.is_set()
    assert given_up.wait(60)
    watchdog.ended.set()
    watchdog.join()


def test_what_the_line_says(tmp_path: Path) -> None:
    """How often it woke and got on, the host, and whether it waits."""
    watchdog = _Watchdog(Pair(), tmp_path / "heartbeats", 600.0)
    watchdog._tell()
    woken, count, _, place = watchdog._lines()[1]
    assert (woken, count) == ("1", str(heartbeat.own.count))
    assert place.startswith("busy in watchdog.py:")
    heartbeat.own.waiting = True
    assert watchdog._place().startswith("waiting in watchdog.py:")
    heartbeat.own.waiting = False


@pytest.mark.parametrize("name", ["bcast", "allgather", "Allreduce", "Barrier"])
def test_the_communicator_marks_its_waits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name in WAITING
    given = {"bcast": (3,), "allgather": (3,), "Allreduce": (bytearray(8), bytearray(8)), "Barrier": ()}[name]
    seen: list[bool] = []

    class Recorder:
        """In place of the heartbeat."""

        def __setattr__(self, key: str, value: object) -> None:
            seen.append(bool(value))

    monkeypatch.setattr("mpiepm.core.heartbeat.own", Recorder())
    getattr(Domain((9, 14), ALONE)._comm, name)(*given)
    assert seen == [True, False]


def test_the_limit_is_longer_than_the_time_between_checkpoints() -> None:
    assert 60 * parse("[model]\ntemperature = 0.1").output.checkpoint_minutes < LIMIT
