"""exp in arithmetic that a compiler can vectorise: one call costs a few times less than that of the mathematical library.

exp(x) = 2^n exp(r) with n = round(x / ln 2), so that |r| <= ln(2) / 2; exp(r) by its Taylor polynomial of degree 11
(remainder below 7e-15), 2^n by writing n into the exponent of a float64. ln 2 is subtracted in two parts, the first with
enough zeros at its end that n times it is exact (Cody and Waite).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mpiepm.core.jit import njit

_LN2_HIGH = 6.93145751953125e-1
_LN2_LOW = 1.42860682030941723212e-6
LOWEST = -700.0      # smaller arguments are taken as this one: results stay normal numbers
ACCURACY = 2e-14     # largest relative error


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(typing_context: Any, bits: Any) -> Any:
    """The float64 with these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@njit
def exp(x: float) -> float:
    """exp(x) for x <= 700, within `ACCURACY`; exp(LOWEST) below LOWEST. No branches."""
    x = x if x > LOWEST else LOWEST
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800))))
    p = 1.0 + r * (1.0 + r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * p))))))
    result: float = p * _as_float((np.int64(n) + 1023) << 52)
    return result
