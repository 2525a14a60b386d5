"""Opening a file of ours: HDF5 only gets to see what is known to be whole, for it crashes on some damaged files.

Files of schema 1 carry no checksums, so another process reads them first: it may crash, hang or run out of memory in our place.
"""

import functools
import mmap
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py

from mpiepm.core.params import ParameterError
from mpiepm.io import checksum

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OLD = "1"  # the schema without checksums
_TRIAL_SECONDS = 5  # of a processor, besides those for the size of the file
_TRIAL_SPEED = 50_000_000  # bytes a second
_TRIAL_BYTES = 4 * 1024**3  # of address space, beyond the size of the file
_TRIAL = """
import resource, sys
for which, limit in ((resource.RLIMIT_AS, int(sys.argv[2])), (resource.RLIMIT_CPU, int(sys.argv[3]))):
    resource.setrlimit(which, (limit, limit))
import mpi4py
mpi4py.rc.initialize = False
import h5py
def look(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        item[()], [list(scales.values()) for scales in item.dims]
with h5py.File(sys.argv[1], "r") as file:
    look("", file)
    file.visititems(look)
"""


def open_file(path: Path, kind: str, schemas: Sequence[str], names: Sequence[str] | None = ()) -> h5py.File:
    """The file, for reading; all of it but the datasets is what was written.

    Parameters
    ----------
    kind : "archive" or "checkpoint"
    schemas : those that the caller reads
    names : datasets to be compared with their checksums as well, None: all

    Raises
    ------
    ParameterError : if there is no such file, or it is damaged, or something else
    """
    try:
        if path.is_dir():
            raise ParameterError(f"{path}: is a directory, must be a file")
        if not compare(path, None if names is None else [checksum.REST, *names]):
            _without_sums(path, kind, schemas)
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise ParameterError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    schema = file.attrs.get("schema")
    if schema not in schemas:
        file.close()
        raise _other_schema(path, str(schema), schemas)
    return file


def seal_of(path: Path, kind: str, schemas: Sequence[str]) -> str:
    """The name of the seal of a file that is as it was written, all of it, "" if it has none; arguments like `open_file`.

    Raises
    ------
    ParameterError : if it is not
    """
    open_file(path, kind, schemas, None).close()
    sums = checksum.read(path)
    return sums.name if sums else ""


def compare(path: Path, names: Sequence[str] | None) -> bool:
    """Compare datasets (None: everything) with their checksums; False if the file has none.

    Raises
    ------
    ParameterError : if something is not what was written
    OSError : if the file cannot be read
    """
    try:
        sums = checksum.read(path)
        wrong = checksum.damaged(path, sums, names) if sums else []
    except checksum.DamagedError as error:
        raise ParameterError(f"{path}: damaged: {error}") from None
    if wrong:
        what = ", ".join(name or "its structure" for name in wrong)
        raise ParameterError(f"{path}: damaged: not what was written: {what}")
    return sums is not None


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _other_schema(path: Path, schema: str, schemas: Sequence[str]) -> ParameterError:
    return ParameterError(f"{path}: is {schema!r}, this program reads {' and '.join(map(repr, schemas))}")


def _without_sums(path: Path, kind: str, schemas: Sequence[str]) -> None:
    """Raises ParameterError unless the file is a readable one of schema 1."""
    status = path.stat()
    if status.st_size == 0:
        raise ParameterError(f"{path}: is empty, must be {_a(kind)} of mpiepm")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:8] != _SIGNATURE:
            raise ParameterError(f"{path}: not an HDF5 file, must be {_a(kind)} of mpiepm")
        found = re.search(rb"mpiepm %s \d{1,9}" % kind.encode(), data)
        schema = found[0].decode() if found else ""
    if not schema:
        raise ParameterError(f"{path}: not {_a(kind)} of mpiepm")
    if schema not in schemas:
        raise _other_schema(path, schema, schemas)
    if schema != f"mpiepm {kind} {_OLD}":
        raise ParameterError(f"{path}: damaged: it was cut short or changed after it was written")
    if trouble := _try(path, status.st_size, status.st_mtime_ns):
        raise ParameterError(f"{path}: damaged: {trouble}")


@functools.cache
def _try(path: Path, size: int, changed: int) -> str:
    """Let another process read the file, in whatever state `size` and `changed` stand for; what went wrong, or nothing."""
    limits = [str(_TRIAL_BYTES + size), str(_TRIAL_SECONDS + size // _TRIAL_SPEED)]
    command = [sys.executable, "-c", _TRIAL, str(path), *limits]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # the address space of each thread counts
    done = subprocess.run(command, capture_output=True, env=environment)
    if done.returncode < 0:
        return "HDF5 crashes or hangs on it"
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] if done.returncode else []
    return "".join(last).partition(": ")[2]
