"""CRC-32 of a dataset: `zlib.crc32` of its values in the order of C, from parts that lie on several ranks.

    crc32(a + b) = shifted(crc32(a), len(b)) ^ crc32(b),

so every rank shifts its parts to their places, and the sum of all is their exclusive or. It is a sum of the values: compression
and chunks do not change it. A CRC is a polynomial over GF(2) modulo that of CRC-32, bits reflected: shifting by n bytes
multiplies it by x^(8 n) (zlib's crc32_combine does the same, but Python does not offer it).
"""

import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import h5py
import numpy as np

from mpiepm.core import heartbeat

ATTRIBUTE = "crc32"
BLOCK_BYTES = 16 * 1024**2  # read and summed at a time
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


def of_bytes(values: np.ndarray, before: int = 0) -> int:
    """CRC of an array, going on from that of what comes before it."""
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, before)


def shifted(crc: int, length: int) -> int:
    """Contribution of a part with this CRC to that of a whole in which `length` bytes follow."""
    return _product(crc, _power(length))


def of_dataset(dataset: h5py.Dataset) -> int:
    """CRC of all values, read block by block."""
    crc = 0
    for block in blocks(dataset):
        crc = of_bytes(block, crc)
    return crc


def stored(dataset: h5py.Dataset) -> int | None:
    """The CRC that the dataset says it has, None if it says nothing."""
    value = dataset.attrs.get(ATTRIBUTE)
    return None if value is None else int(np.asarray(value).item())


def blocks(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    """The values in their order, at most `BLOCK_BYTES` at a time unless a row is longer."""
    shape, itemsize = dataset.shape, dataset.dtype.itemsize
    if 0 in shape:
        return
    depth, cut = 0, itemsize * int(np.prod(shape[1:]))
    while depth + 1 < len(shape) and cut > BLOCK_BYTES:
        depth += 1
        cut //= shape[depth]
    if not shape:
        yield dataset[()]
        return
    step = max(1, BLOCK_BYTES // max(cut, 1))
    for outer in np.ndindex(shape[:depth]):
        for first in range(0, shape[depth], step):
            heartbeat.beat()
            where: tuple[Any, ...] = (*outer, slice(first, first + step))
            yield dataset[where]


def _product(a: int, b: int) -> int:
    """Of two polynomials of degree below 32; the coefficient of x^0 is the highest bit."""
    result, bit = 0, _ONE
    while bit:
        if a & bit:
            result ^= b
        bit >>= 1
        b = (b >> 1) ^ (_POLYNOMIAL if b & 1 else 0)
    return result


@cache
def _power(length: int) -> int:
    """x^(8 length)."""
    result, factor = _ONE, _ONE >> 8  # 1 and x^8
    while length:
        if length & 1:
            result = _product(result, factor)
        factor = _product(factor, factor)
        length >>= 1
    return result
