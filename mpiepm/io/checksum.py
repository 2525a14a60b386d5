"""Checksums at the end of a finished HDF5 file, to be compared before HDF5 sees it: HDF5 crashes on some damaged files.

After the HDF5 file itself, which other programs read as ever, follow one line of JSON and a last line of fixed length. The JSON
holds offset, length and CRC-32 of every dataset, and the CRC-32 of all the rest, under the name "". So a reader compares the
rest, and then no more than what it wants to read.

Each of these is cut into pieces; its sum is the CRC-32 of the CRC-32s of the pieces. So ranks can share the work, and the
result is that of one rank.
"""

import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mpiepm.core import heartbeat
from mpiepm.grid.domain import Domain
from mpiepm.io.reading import for_reading

REST = ""  # stands for all bytes that belong to no dataset
_PIECE = 4 * 1024**2
_TAIL = re.compile(rb"\nmpiepm sums ([0-9a-f]{16}) ([0-9a-f]{8})\n")
_TAIL_LENGTH = 39
_LONGEST = 16 * 1024**2  # of the JSON: a damaged tail must not fill the memory

Extents = dict[str, list[tuple[int, int]]]  # of each dataset and of REST: offsets and lengths
Piece = tuple[str, int, int]  # name, offset, length


class DamagedError(Exception):
    """A file is not what was written."""


@dataclass(frozen=True)
class Sums:
    """What the end of a file says about it.

    Attributes
    ----------
    size : bytes of the HDF5 file itself
    extents : of each dataset, its (offset, length);  sums : of each dataset and of REST
    name : of the seal; two files of one name hold the same
    """

    size: int
    extents: Mapping[str, tuple[int, int]]
    sums: Mapping[str, int]
    name: str


def seal(path: Path, domain: Domain) -> str:
    """Append the sums of a complete file; the seal's name. Collective.

    Raises
    ------
    OSError : on all ranks, if the file cannot be read or written
    """
    extents: dict[str, tuple[int, int]] = {}
    size, error, name = 0, "", ""
    if domain.rank == 0:
        try:
            extents, size = _datasets(path), path.stat().st_size
        except (OSError, RuntimeError) as fault:
            error = str(fault)
    extents, size, error = domain.broadcast((extents, size, error))
    plan = list(_pieces(_parts(extents, size)))
    own: list[int] = []
    try:
        own = list(_sums_of_pieces(path, plan[domain.share(len(plan))]))
    except OSError as fault:
        error = str(fault)
    everyone = domain.collect((own, error))
    error = next((e for _, e in everyone if e), "")
    if domain.rank == 0 and not error:
        try:
            name = _append(path, extents, _fold(plan, [crc for part, _ in everyone for crc in part]))
        except OSError as fault:
            error = str(fault)
    error, name = domain.broadcast((error, name))
    if error:
        raise OSError(error)
    return str(name)


def read(path: Path) -> Sums | None:
    """The sums at the end of a file, None if there are none.

    Raises
    ------
    DamagedError : if they are damaged themselves
    OSError : if the file cannot be read
    """
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - _TAIL_LENGTH, 0))
        tail = _TAIL.fullmatch(file.read())
        if not tail:
            return None
        size, crc = int(tail[1], 16), int(tail[2], 16)
        rest = length - _TAIL_LENGTH - size
        if not 0 < rest <= _LONGEST:
            raise DamagedError("its length is not the one it was written with")
        file.seek(size)
        text = file.read(rest)
    try:
        if zlib.crc32(text) != crc:
            raise ValueError
        return _sums(json.loads(text), size, f"{crc:08x}")
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise DamagedError("its checksums are damaged") from None


def _sums(entries: dict[str, tuple[int, int, int]], size: int, seal: str) -> Sums:
    """Raises ValueError or TypeError unless all of it makes sense."""
    extents = {name: (offset, length) for name, (offset, length, _) in entries.items() if name != REST}
    for offset, length in extents.values():
        if not (isinstance(offset, int) and isinstance(length, int) and 0 <= offset <= offset + length <= size):
            raise ValueError
    return Sums(size, extents, {name: value for name, (_, _, value) in entries.items()}, seal)


def damaged(path: Path, sums: Sums, names: Iterable[str] | None = None) -> list[str]:
    """Those of the named datasets (and REST; default: everything) whose bytes are not those that were written."""
    parts = _parts(sums.extents, sums.size)
    plan = list(_pieces({name: parts[name] for name in (parts if names is None else names) if name in parts}))
    found = _fold(plan, list(_sums_of_pieces(path, plan)))
    return [name for name, crc in found.items() if crc != sums.sums.get(name)]


def _datasets(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and length of all datasets that lie in one piece; others count as part of the rest."""
    found: dict[str, tuple[int, int]] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (offset := item.id.get_offset()) is not None:
            found[name] = (offset, item.id.get_storage_size())

    with for_reading(path) as file:
        file.visititems(note)
    return found


def _parts(extents: Mapping[str, tuple[int, int]], size: int) -> Extents:
    """(offset, length) of everything: each dataset, and what lies between them."""
    parts: Extents = {REST: []}
    position = 0
    for offset, length in [*sorted(extents.values()), (size, 0)]:
        if offset > position:
            parts[REST].append((position, offset - position))
        position = max(position, offset + length)
    return parts | {name: [extent] for name, extent in extents.items()}


def _pieces(parts: Extents) -> Iterator[Piece]:
    for name, extents in parts.items():
        for offset, length in extents:
            for start in range(offset, offset + length, _PIECE):
                yield name, start, min(_PIECE, offset + length - start)


def _sums_of_pieces(path: Path, plan: Iterable[Piece]) -> Iterator[int]:
    with path.open("rb") as file:
        for _, offset, length in plan:
            heartbeat.beat()
            file.seek(offset)
            yield zlib.crc32(file.read(length))


def _fold(plan: Iterable[Piece], crcs: Iterable[int]) -> dict[str, int]:
    by_name: dict[str, list[int]] = {}
    for (name, _, _), crc in zip(plan, crcs, strict=True):
        by_name.setdefault(name, []).append(crc)
    return {name: zlib.crc32(np.array(values, "<u4").tobytes()) for name, values in by_name.items()}


def _append(path: Path, extents: Mapping[str, tuple[int, int]], sums: Mapping[str, int]) -> str:
    size = path.stat().st_size
    entries = {name: (*extents.get(name, (0, size)), crc) for name, crc in sums.items()}
    text = json.dumps(entries).encode()
    with path.open("ab") as file:
        file.write(text + b"\nmpiepm sums %016x %08x\n" % (size, zlib.crc32(text)))
    return f"{zlib.crc32(text):08x}"
