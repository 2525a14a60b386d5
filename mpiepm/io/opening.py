"""Opening files of ours, with one clear line if they are something else or damaged.

An archive is plain HDF5, which people may annotate and repack: HDF5 checks its own metadata, `io.crc` the values. Checkpoints
and segments of the journal are for mpiepm only: nothing is read from one that is not, byte by byte, what was written.

HDF5's own locks stay off: a file is written once, under another name, and some file systems have no locks.
"""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import h5py

from mpiepm.core.faults import ParameterError
from mpiepm.io import checksum
from mpiepm.io.hdf5 import text
from mpiepm.io.reading import for_reading


def open_archive(path: Path, schema: str) -> h5py.File:
    """An archive, for reading.

    Raises
    ------
    ParameterError : if there is no such file, or it is damaged, or something else
    """
    _require_file(path)
    try:
        if path.stat().st_size == 0:
            raise ParameterError(f"{path}: is empty, must be an archive of mpiepm")
        with path.open("rb"):
            pass  # h5py has no word for what the system says
        if not h5py.is_hdf5(path):
            raise ParameterError(f"{path}: not an HDF5 file, must be an archive of mpiepm")
        file = for_reading(path)
    except OSError as error:
        if error.errno:
            raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
        raise damaged(path, error) from None
    try:
        found = text(file.attrs, "schema") if "schema" in file.attrs else ""
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        file.close()
        raise damaged(path, error) from None
    if found != schema:
        file.close()
        if found.startswith("mpiepm "):
            raise _other_schema(path, found, schema)
        raise ParameterError(f"{path}: not an archive of mpiepm")
    return file


def damaged(path: Path, error: Exception) -> ParameterError:
    """What HDF5 says of a file, in one line."""
    text = " ".join(str(error).split())
    reason = re.search(r"\((.*)\)$", text)
    return ParameterError(f"{path}: damaged: {reason[1] if reason else text}")


def open_sealed(path: Path, kind: str, schema: str, *, whole: bool = False) -> h5py.File:
    """A checkpoint or a segment, for reading: all of it but the datasets is what was written, with `whole` these too.

    Parameters
    ----------
    kind : "checkpoint" or "journal"
    schema : what the caller reads

    Raises
    ------
    ParameterError : if there is no such file, or it is damaged, or something else
    """
    _require_file(path)
    try:
        if not _compare(path, None if whole else [checksum.REST]):
            _without_sums(path, kind, schema)
        file = for_reading(path)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror or error}") from None
    found = text(file.attrs, "schema")
    if found != schema:
        file.close()
        raise _other_schema(path, found, schema)
    return file


def seal_of(path: Path, kind: str, schema: str) -> str:
    """The name of the seal of a checkpoint or segment that is as it was written, all of it; arguments like `open_sealed`.

    Raises
    ------
    ParameterError : if it is not
    """
    open_sealed(path, kind, schema, whole=True).close()
    sums = checksum.read(path)
    assert sums is not None
    return sums.name


def _require_file(path: Path) -> None:
    try:
        folder = path.is_dir()
        path.stat()
    except (FileNotFoundError, ValueError):  # ValueError: a null character in the name
        raise ParameterError(f"{str(path)!r}: no such file" if "\0" in str(path) else f"{path}: no such file") from None
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    if folder:
        raise ParameterError(f"{path}: is a directory, must be a file")


def _compare(path: Path, names: Sequence[str] | None) -> bool:
    """Compare datasets (None: everything) with the checksums of the seal; False if the file has none.

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


def _other_schema(path: Path, found: str, schema: str) -> ParameterError:
    return ParameterError(f"{path}: is {found!r}, this program reads {schema!r}")


def _without_sums(path: Path, kind: str, schema: str) -> None:
    """Raises ParameterError that says what a file without a seal is."""
    found = ""
    if path.stat().st_size > 0:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if match := re.search(rb"mpiepm (checkpoint|journal|archive) \d{1,9}", data):
                found = match[0].decode()
    if not found:
        raise ParameterError(f"{path}: not a {kind} of mpiepm")
    if found != schema:
        raise _other_schema(path, found, schema)
    raise ParameterError(f"{path}: damaged: it was cut short or changed after it was written")
