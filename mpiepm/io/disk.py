"""Room on the disk, and faults of one rank that become faults of all, with the numbers that explain them.

HDF5 keeps to itself why a write failed, and a full disk may show on one rank only; so every fault tells how many bytes were
wanted, how many were free, and how large a file may become.
"""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mpiepm.core.amounts import in_bytes
from mpiepm.core.faults import WriteError

if TYPE_CHECKING:
    from mpiepm.grid.domain import Domain

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # not the user's mistake


def free_bytes(folder: Path) -> int | None:
    """Free on the file system of `folder`, or of the nearest folder above it that exists; None if it does not tell."""
    while not os.path.exists(folder) and folder != folder.parent:  # False for a name that is too long, too
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found.f_blocks else None


def largest_file() -> int | None:
    """Largest size that a file of this process may have (``ulimit -f``), bytes; None: any."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit


def numbers(folder: Path, wanted: int) -> str:
    """Bytes wanted, free and allowed, for people."""
    free, limit = free_bytes(folder), largest_file()
    parts = [f"{in_bytes(wanted)} wanted"]
    parts += [f"{in_bytes(free)} free"] if free is not None else []
    parts += [f"files limited to {in_bytes(limit)}"] if limit is not None else []
    return ", ".join(parts)


def require(path: Path, wanted: int) -> None:
    """Raises OSError if a file of so many bytes cannot be written; a quota shows only when it is."""
    limit = largest_file()
    if limit is not None and wanted > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    free = free_bytes(path.parent)
    if free is not None and wanted > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync(path: Path) -> None:
    """Flush a file to the disk, or a folder, so that a new name in it survives a crash of the machine.

    Some file systems refuse that for folders (EINVAL, EIO); the file itself is safe then.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """All of it or nothing, whenever the process is killed.

    Raises
    ------
    OSError : if it cannot be written; what `path` held before is untouched
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def together(domain: "Domain", path: Path, wanted: int = 0) -> Iterator[None]:
    """What fails in here on any rank fails on all. Collective; the ranks must not wait for each other inside.

    Raises
    ------
    WriteError : on all ranks, with the path, the reason and the `numbers` of the rank where it happened
    """
    fault = ""
    try:
        yield
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fault = f"{reason} ({numbers(path.parent, wanted)})"
    faults = domain.collect(fault)
    if any(faults):
        rank = next(rank for rank, found in enumerate(faults) if found)
        where = f" by rank {rank}" if domain.size > 1 else ""
        raise WriteError(f"{path}: cannot be written{where}: {faults[rank]}")
