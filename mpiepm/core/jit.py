"""The one door to numba: every hot loop of the package is compiled through `njit` or `inlined`.

Compiled code is kept in ``$NUMBA_CACHE_DIR`` (default: ``$XDG_CACHE_HOME/mpiepm/numba``), in a folder named after a hash
of the package's sources. numba itself notices only changes in the *file* of a compiled function, not in the functions
of other modules that were compiled into it; with the hash a changed source can never meet stale machine code.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _cache_directory() -> Path:
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or home / "mpiepm" / "numba")
    return base / digest.hexdigest()[:16]


numba.config.CACHE_DIR = str(_cache_directory())


def njit(function: _Function) -> _Function:
    """Compile `function` on its first call, IEEE arithmetic (no fastmath: a sum may decide an event), cached on disk.

    While it runs, Python's other threads can: those that watch over this one.
    """
    return cast("_Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: _Function) -> _Function:
    """`njit`, written into its callers: for short functions of hot loops, whose arrays would be reference-counted per call."""
    return cast("_Function", numba.njit(cache=True, error_model="numpy", inline="always")(function))
