"""One run, one directory: the process that works in it holds ``run.lock``, and every other one is turned away.

Two ways to tell whether the holder is at work, because each alone fails somewhere:

- the kernel's lock on the open file (flock, by which the library filelock works as well). It goes with its process, however
  that ends, and reaches other hosts on NFS and on most parallel file systems, but not on all of them.
- what stands in the file. Of a process on this machine one can see whether it is there, by its number and the time it started.
  Of one elsewhere one cannot; so the holder renews the file's time every `BEAT` seconds, and one that does not for `LEASE` is
  taken for dead (a lease, as in flufl.lock). It is watched that long: the clocks of two machines are never compared.

A holder that was stopped until another took over finds out at its next beat and must end (`Lock.check`).
"""

import errno
import fcntl
import json
import os
import platform
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mpiepm.core.faults import ParameterError, RunError
from mpiepm.grid.domain import Domain

NAME = "run.lock"
BEAT = 5.0    # seconds
LEASE = 60.0  # seconds
_SETTLE = 2.0  # seconds until a record that two have written at once is the same for both


def _start_of(pid: int) -> int:
    """When a process of this machine started, clock ticks since boot; 0 if it is not alive."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if state in "ZX" else int(rest[18])


def _machine() -> str:
    """Where the number of a process means something: one boot of one kernel, one name space of processes."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


@dataclass(frozen=True)
class Holder:
    """Who holds a lock; `since` is for people."""

    host: str
    machine: str
    pid: int
    started: int
    since: str

    @classmethod
    def this_process(cls) -> "Holder":
        """The one that asks."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(platform.node(), _machine(), os.getpid(), _start_of(os.getpid()), now)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def _read(path: Path, descriptor: int) -> Holder | None:
    """What stands in the file, None: nothing yet.

    Raises
    ------
    ParameterError : if somebody else has written there
    """
    text = os.pread(descriptor, 4096, 0).strip(b"\0 \n")
    try:
        return Holder(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        raise ParameterError(f"{path}: is in the way, and no lock of mpiepm") from None


def holder(folder: Path) -> Holder | None:
    """Who works in the directory, as far as can be seen without asking for the lock; None: nobody.

    Of a holder on another machine by the time of the file, against our clock.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found, age = _read(path, descriptor), time.time() - os.fstat(descriptor).st_mtime
    except ParameterError:
        return None
    finally:
        os.close(descriptor)
    if found is None:
        return None
    alive = _start_of(found.pid) == found.started if found.machine == _machine() else age < 2 * LEASE
    return found if alive else None


class Lock:
    """The lock of the run directory `folder`, from construction to `release`.

    Raises
    ------
    ParameterError : if another process holds it, or it cannot be written
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._own = Holder.this_process()
        try:
            self._descriptor, kernel = self._open()
            try:
                self._take(kernel)
            except BaseException:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise ParameterError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._lost = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _in_use(self, holder: Holder | None) -> ParameterError:
        return ParameterError(f"{self.path.parent}: in use by {holder or 'another process'}; only one at a time")

    def _open(self) -> tuple[int, bool]:
        """Descriptor of the lock's file, and whether the kernel has locked it for us."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ParameterError(f"{self.path}: is in the way, and no lock of mpiepm")
                kernel = self._ask_kernel(descriptor)
                if self._is_at_path(descriptor):
                    return descriptor, kernel
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its holder has just released and removed it

    def _ask_kernel(self, descriptor: int) -> bool:
        """Has the kernel locked the file for us? If it refuses for any reason but a holder, there are no locks here.

        Some file systems without locks say EAGAIN, as if somebody held it. Then there is nobody whose name is in the file.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            until = time.monotonic() + _SETTLE
            while (found := _read(self.path, descriptor)) is None and time.monotonic() < until:
                time.sleep(0.01)
            if found is not None and (found.machine != self._own.machine or _start_of(found.pid) == found.started):
                raise self._in_use(found) from None
            return False
        except OSError:
            return False
        return True

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _take(self, kernel: bool) -> None:
        """Put our name into the file, unless whose name is there is alive."""
        former = _read(self.path, self._descriptor)
        elsewhere = former is not None and former.machine != self._own.machine
        if former is not None and (self._beats(former) if elsewhere else _start_of(former.pid) == former.started):
            raise self._in_use(former)
        os.ftruncate(self._descriptor, 0)
        record = json.dumps(asdict(self._own)).encode()
        if os.pwrite(self._descriptor, record, 0) < len(record):
            os.ftruncate(self._descriptor, 0)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._descriptor)
        if elsewhere or not kernel:
            time.sleep(_SETTLE)
            if (now := self._present()) != self._own:
                raise self._in_use(now)

    def _beats(self, former: Holder) -> bool:
        """Does a holder on another machine renew the file's time?"""
        print(f"mpiepm: {self.path}: of {former}; watching for {LEASE:.0f} s whether it is alive", file=sys.stderr, flush=True)
        last, until = os.fstat(self._descriptor).st_mtime_ns, time.monotonic() + LEASE
        while time.monotonic() < until:
            time.sleep(min(1.0, LEASE))
            self._present()  # opening it makes NFS ask the server
            if os.fstat(self._descriptor).st_mtime_ns != last:
                return True
        return False

    def _present(self) -> Holder | None:
        """Who stands in the file that has the lock's name now."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read(self.path, descriptor)
        finally:
            os.close(descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                os.utime(self._descriptor)
                present = self._present()
            except (FileNotFoundError, ParameterError):
                present = None
            except OSError:
                continue  # a file server that does not answer may come back
            if present != self._own:
                self._lost = f"{self.path}: was taken over by {present or 'somebody'} while this process was stopped"
                return

    def check(self) -> None:
        """Raises RunError if the lock is no longer ours."""
        if self._lost:
            raise RunError(self._lost)

    def release(self) -> None:
        """Let others in."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # a directory that can no longer be written
            if not self._lost and self._is_at_path(self._descriptor):
                self.path.unlink()
        os.close(self._descriptor)


_held: dict[Path, Lock] = {}


@contextmanager
def held(folder: Path, domain: Domain | None = None) -> Iterator[Lock | None]:
    """Hold the lock of `folder`, which must exist, on the first rank of `domain`, or in this process. Collective on entering.

    A process that holds it already gets the same again, and keeps it.

    Raises
    ------
    ParameterError : on all ranks, if another process holds it
    """
    lock: Lock | None = None
    taken = False
    key = folder.resolve()

    def take() -> None:
        nonlocal lock, taken
        taken = key not in _held
        lock = _held[key] = Lock(folder) if taken else _held[key]

    if domain is None:
        take()
    else:
        domain.on_root(take)
    try:
        yield lock
    finally:
        if lock and taken:
            del _held[key]
            lock.release()
