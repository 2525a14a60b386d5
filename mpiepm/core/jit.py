"""The compiler's settings: every hot loop of the package is compiled through `njit` or `inlined`.

IEEE arithmetic: no fastmath, as a sum may decide an event. Compiled code is kept on disk (`core.compile_cache`). Settings of
numba that belong to the user, such as its own cache, are left alone.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from mpiepm.core.compile_cache import CompileCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function, **options: Any) -> _Function:
    dispatcher = numba.njit(error_model="numpy", **options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = CompileCache(function, dispatcher.targetoptions)
    return cast("_Function", dispatcher)


def njit(function: _Function) -> _Function:
    """Compile `function` on its first call. While it runs, Python's other threads can: those that watch over this one."""
    return _compiled(function, nogil=True)


def inlined(function: _Function) -> _Function:
    """`njit`, written into its callers: for short functions of hot loops, whose arrays would be reference-counted per call."""
    return _compiled(function, inline="always")
