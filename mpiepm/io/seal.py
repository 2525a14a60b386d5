"""Files that can be checked without trusting a byte of them: a list of checksums of all their parts stands at their end.

The parts follow each other and cover the file, so that a change anywhere is found before HDF5, which is built for sound files,
gets to see it. The checksum is CRC-32, of which that of a whole follows from those of its pieces: every rank takes a piece, and
the result does not depend on the cut. What the ranks have written is summed up in memory, not read back.

A file ends with a JSON text, {"parts": [[first byte, end, checksum], ...]}, and a line with its length, its checksum and a
mark. HDF5 does not mind what follows its own end.
"""

import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from mpiepm.core.params import ParameterError
from mpiepm.grid.domain import Domain, even_partition

_CHUNK = 1 << 22
_LONGEST = 1 << 24  # bytes of the text: more than any run can need
_LINE = re.compile(rb"\n([0-9a-f]{8}) ([0-9a-f]{8}) mpiepm seal 1\n")
_LINE_LENGTH = 33
_POLYNOMIAL = 0xEDB88320  # of CRC-32, bit-reversed: bit 31 is the constant term


def _times(a: int, b: int) -> int:
    """Product of two polynomials over GF(2), modulo that of CRC-32."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def combined(pieces: Sequence[tuple[int, int]]) -> int:
    """CRC-32 of the whole from (checksum, number of bytes) of its pieces in their order."""
    total = 0
    for checksum, length in pieces:
        shift, power, n = 1 << 31, 1 << 23, length  # x^0, x^8: one byte
        while n:
            if n & 1:
                shift = _times(shift, power)
            power = _times(power, power)
            n >>= 1
        total = _times(shift, total) ^ checksum
    return total


def checksum(domain: Domain, entries: Sequence[np.ndarray]) -> int:
    """CRC-32 of entries that lie in the file one after the other, each cut into the slabs of all ranks. Collective."""
    own = [(zlib.crc32(np.ascontiguousarray(slab).reshape(-1).view(np.uint8).data), slab.nbytes) for slab in entries]
    of_ranks = domain.comm.allgather(own)
    return combined([of_rank[k] for k in range(len(own)) for of_rank in of_ranks])


def _chunks(descriptor: int, first: int, end: int) -> Iterator[bytes]:
    while first < end:
        chunk = os.pread(descriptor, min(_CHUNK, end - first), first)
        if not chunk:
            raise ValueError(f"ends at byte {first}")
        yield chunk
        first += len(chunk)


def _sum(descriptor: int, first: int, end: int) -> int:
    total = 0
    for chunk in _chunks(descriptor, first, end):
        total = zlib.crc32(chunk, total)
    return total


def attach(path: Path, checksums: Mapping[str, int]) -> str:
    """Seal a complete HDF5 file, on one rank, given the checksums of its contiguous datasets. Returns the seal's name."""
    parts = []
    with h5py.File(path, "r") as file:
        for name, total in checksums.items():
            if (first := file[name].id.get_offset()) is not None:
                parts.append((first, first + file[name].id.get_storage_size(), total))
    parts.sort()
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        known = [(0, 0, 0), *parts, (size, size, 0)]
        for (_, first, _), (end, _, _) in pairwise(known):
            if first < end:
                parts.append((first, end, _sum(stream.fileno(), first, end)))
        text = json.dumps({"parts": sorted(parts)}).encode()
        stream.write(text + b"\n%08x %08x mpiepm seal 1\n" % (len(text), zlib.crc32(text)))
    return f"{zlib.crc32(text):08x}"


def _read(path: Path) -> tuple[list[list[int]], str]:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _LINE_LENGTH, 0))
        match = _LINE.fullmatch(stream.read())
        if match is None:
            raise ValueError("has no seal at its end")
        length = int(match[1], 16)
        end = size - _LINE_LENGTH - length
        if length > _LONGEST or end < 0:
            raise ValueError("has no seal at its end")
        stream.seek(end)
        text = stream.read(length)
        if zlib.crc32(text) != int(match[2], 16):
            raise ValueError("has a broken seal")
        parts = json.loads(text)["parts"]
    edges = [0, *(edge for first, last, _ in parts for edge in (first, last)), end]
    if any(a != b for a, b in zip(edges[::2], edges[1::2], strict=True)):
        raise ValueError("has bytes that its seal does not know")
    return parts, match[2].decode()


def check(path: Path, domain: Domain) -> str:
    """Read the whole file and compare; every rank takes its share of each part. Collective. Returns the name of its seal.

    Two sealed files of the same name hold the same data.

    Raises
    ------
    ParameterError : on all ranks, if a byte is not as it was written, or the file cannot be read
    """
    fault, name = "", ""
    parts: list[list[int]] = []
    sums: list[tuple[int, int]] = []
    if domain.rank == 0:
        try:
            parts, name = _read(path)
        except (OSError, ValueError) as error:
            fault = _describe(error)
    fault, parts, name = domain.comm.bcast((fault, parts, name))
    try:
        if not fault:
            sums = _sums(path, parts, domain)
    except (OSError, ValueError) as error:
        fault = _describe(error)
    of_ranks = domain.comm.allgather((fault, sums))
    fault = next((f for f, _ in of_ranks if f), "")
    if not fault:
        for k, (first, end, expected) in enumerate(parts):
            if combined([pieces[k] for _, pieces in of_ranks]) != expected:
                fault = f"is damaged between bytes {first} and {end}"
                break
    if fault:
        raise ParameterError(f"{path}: {fault}")
    return str(name)


def _describe(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def _sums(path: Path, parts: Sequence[Sequence[int]], domain: Domain) -> list[tuple[int, int]]:
    """Checksum and length of this rank's share of every part."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        shares = [first + even_partition(end - first, domain.size)[domain.rank : domain.rank + 2] for first, end, _ in parts]
        return [(_sum(descriptor, int(first), int(end)), int(end - first)) for first, end in shares]
    finally:
        os.close(descriptor)
