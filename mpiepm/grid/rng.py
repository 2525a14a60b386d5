"""Counter-based random numbers: Philox4x64-10 of Salmon et al. (SC 2011, doi:10.1145/2063384.2063405) in numba.

Four 64-bit words are a pure function of a key (seed, stream) and a counter of four words, so a draw belongs to a site
and a step, whatever rank performs it and in whatever order. numpy's ``Philox`` is the same generator and the test.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mpiepm.core.jit import njit
from mpiepm.core.streams import Stream

_MULTIPLIER_0 = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1 = np.uint64(0xCA5A826395121157)
_WEYL_0 = np.uint64(0x9E3779B97F4A7C15)
_WEYL_1 = np.uint64(0xBB67AE8584CAA73B)


@intrinsic  # type: ignore[untyped-decorator]
def _multiply(typing_context: Any, a: Any, b: Any) -> Any:
    """Upper and lower 64 bits of the 128-bit product: one machine instruction, which numba has no name for."""
    pair = types.UniTuple(types.uint64, 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        x, y = (builder.zext(argument, wide) for argument in arguments)
        product = builder.mul(x, y)
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, pair, (high, builder.trunc(product, word)))

    return pair(types.uint64, types.uint64), generate


@njit
def philox(key0: int, key1: int, c0: int, c1: int, c2: int, c3: int) -> tuple[Any, Any, Any, Any]:
    """Four random words (uint64) for the key (key0, key1) and the counter (c0, c1, c2, c3), all taken as uint64."""
    k0, k1 = np.uint64(key0), np.uint64(key1)
    x0, x1, x2, x3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    for _ in range(10):
        high0, low0 = _multiply(_MULTIPLIER_0, x0)
        high1, low1 = _multiply(_MULTIPLIER_1, x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0 += _WEYL_0
        k1 += _WEYL_1
    return x0, x1, x2, x3


@njit
def uniform(word: int) -> float:
    """Uniform float64 in [0, 1) from the upper 53 bits of a random word."""
    return float(np.uint64(word) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit
def exponential(word: int) -> float:
    """Exponential variate of mean 1, from a random word."""
    return -math.log(1.0 - uniform(word))  # the difference is exact


@njit
def _fill_normal(seed: int, stream: int, first_row: int, out: np.ndarray) -> None:
    rows, columns = out.shape
    for i in range(rows):
        for block in range((columns + 3) // 4):
            w0, w1, w2, w3 = philox(seed, stream, block, first_row + i, 0, 0)
            # Box and Muller: two pairs of normal variates from four uniforms
            r0, r1 = math.sqrt(2.0 * exponential(w0)), math.sqrt(2.0 * exponential(w2))
            a0, a1 = 2.0 * math.pi * uniform(w1), 2.0 * math.pi * uniform(w3)
            four = (r0 * math.cos(a0), r0 * math.sin(a0), r1 * math.cos(a1), r1 * math.sin(a1))
            for k in range(min(4, columns - 4 * block)):
                out[i, 4 * block + k] = four[k]


def standard_normal(seed: int, stream: Stream, first_row: int, shape: tuple[int, int]) -> np.ndarray:
    """Standard normal field on the rows first_row ... first_row + shape[0] - 1 of the lattice: float64, `shape`.

    The block equals the same rows of the field drawn for the whole lattice.
    """
    out = np.empty(shape)
    _fill_normal(seed, int(stream), first_row, out)
    return out
