"""The journal of an unfinished run: numbered segments, each an HDF5 file with the records of some time.

A segment is written once, sealed, and never touched again. A checkpoint knows its segments by their seals: one that a run has
written anew, after it had fallen back to an older checkpoint, is not taken for the one that was there before.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.faults import ParameterError, WriteError
from mpiepm.io.crc import BLOCK_BYTES
from mpiepm.io.opening import seal_of
from mpiepm.io.reading import for_reading

SCHEMA = "mpiepm journal 1"

Places = list[tuple[int, tuple[int, ...]]]  # of a variable: the segments that have it, and its shape there
Index = dict[str, Places]


def folder_of(run: Path) -> Path:
    """Where the segments of a run lie."""
    return run / "journal"


def segment(run: Path, number: int) -> Path:
    """One of them."""
    return folder_of(run) / f"{number:06d}.h5"


def seal_of_segment(path: Path) -> str:
    """The name of its seal; raises ParameterError like `opening.seal_of`."""
    return seal_of(path, "journal", SCHEMA)


def faults(run: Path, seals: Sequence[str]) -> dict[int, str]:
    """What is wrong with the segments that must have these seals ("": known to be lost): missing, damaged, another one.

    Raises
    ------
    ParameterError : if one is there and cannot be read, so that it may be sound
    """
    found = {}
    for number, expected in enumerate(seals):
        path = segment(run, number)
        try:
            path.open("rb").close()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            if expected and seal_of_segment(path) != expected:
                found[number] = f"{path}: is not the segment that belongs to the checkpoint"
        except ParameterError as error:
            found[number] = str(error)
    return found


def missing(run: Path, seals: Sequence[str]) -> list[int]:
    """Numbers of the segments that are not there, without those that are known to be lost. Others are not looked into."""
    try:
        there = set(os.listdir(folder_of(run)))
    except OSError:
        there = set()
    return [number for number, seal in enumerate(seals) if seal and segment(run, number).name not in there]


def index(run: Path, seals: Sequence[str]) -> Index:
    """Which variable is where. Segments without a seal are lost.

    Raises
    ------
    WriteError : if a segment cannot be read, so that the archive cannot be written
    """
    found: Index = {}
    for number in (number for number, seal in enumerate(seals) if seal):
        heartbeat.beat()
        path = segment(run, number)

        def note(name: str, item: object, number: int = number) -> None:
            if isinstance(item, h5py.Dataset) and "units" in item.attrs:
                found.setdefault(name, []).append((number, item.shape))

        try:
            with for_reading(path) as file:
                file.visititems(note)
        except (OSError, RuntimeError, LookupError) as error:
            raise WriteError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return found


def blocks(run: Path, name: str, places: Places, rows: slice | None = None) -> Iterator[np.ndarray]:
    """Records of a variable in their order, some at a time, (n, ...); of a distributed one those `rows` only."""
    for number, (length, *_) in places:
        with for_reading(segment(run, number)) as file:
            dataset = file[name]
            rest = (*dataset.shape[1:],) if rows is None else (rows.stop - rows.start, *dataset.shape[2:])
            step = max(1, BLOCK_BYTES // max(int(np.prod(rest)) * dataset.dtype.itemsize, 1))
            for first in range(0, length, step):
                heartbeat.beat()
                part = slice(first, first + step)
                yield dataset[part] if rows is None else dataset[part, rows]


def remove(run: Path) -> None:
    """Delete the segments and their folder, and nothing else in it."""
    folder = folder_of(run)
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if re.fullmatch(r"\d{6,}\.h5(\.partial)?", path.name):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
