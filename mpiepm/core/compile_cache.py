"""Compiled functions on disk, each under a key of everything that its machine code depends on.

numba's own cache recognises a change of a function's file, but not of another function that was compiled into it. The key here
is the SHA-256 of the byte code of the function and, recursively, of all that it refers to (functions, constants, classes), of
the types of its arguments, of the options, the versions and the processor. So a function that a script has replaced gets a
file of its own, an edit recompiles what it concerns and nothing else, and all checkouts share what they have in common.

One file holds one compiled function for one signature. It is written under another name and renamed, so any number of processes
may work on the cache at the same time. Files that nobody has used for `UNUSED_DAYS` are removed.
"""

import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import time
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.extending import _Intrinsic

from mpiepm.core.folders import user_cache

UNUSED_DAYS = 30
_LIBRARIES = ("numba", "numpy", "math", "cmath", "llvmlite", "builtins", "operator")  # their versions are part of every key


class _NoKeyError(Exception):
    """A function refers to something whose value cannot be told from its representation."""


@cache
def directory() -> Path | None:
    """Folder of the compiled functions; None, with a warning, if there is none that this process can write to.

    ``mpiepm/numba`` in the first of these that can be written: ``$NUMBA_CACHE_DIR``, ``$XDG_CACHE_HOME`` (or ``~/.cache``);
    else a folder of this user's own in the directory for temporary files.
    """
    fault: OSError | RuntimeError | None = None
    for place in _candidates():
        try:
            path = place()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
            if path.stat().st_uid == os.geteuid():  # what is read from here is executed
                return path
        except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
            fault = error
    _warn(f"no folder for compiled functions: {fault}; every run compiles them anew, set NUMBA_CACHE_DIR to a folder for them")
    return None


def _candidates() -> Iterator[Callable[[], Path]]:
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield lambda: Path(given) / "mpiepm" / "numba"
    yield lambda: user_cache() / "numba"
    yield lambda: Path(tempfile.gettempdir()) / f"mpiepm-{os.geteuid()}" / "numba"


@cache
def _warn(message: str) -> None:
    """A line on the standard error, once in a process."""
    print(f"mpiepm: warning: {message}", file=sys.stderr, flush=True)


class CompileCache(_Cache):  # type: ignore[misc]
    """The files of one function; numba asks it before it compiles, and hands it what it has compiled."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self._function, self._options = function, options
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder, for numba's statistics."""
        return str(directory() or "")

    def enable(self) -> None:
        """Use the cache from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Leave the cache alone from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Nothing: a file with the right key is never wrong."""

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """The function compiled for the signature `sig`, None if it is not there."""
        target_context.refresh()
        if (path := self._path(sig, target_context.codegen())) is None:
            return None
        try:
            result: CompileResult = CompileResult._rebuild(target_context, *pickle.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file may raise anything
            _warn(f"{path}: cannot be used: {error!r}; compiling anew")
            return None
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 86400:
                os.utime(path)
        return result

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Keep the function compiled for the signature `sig`, if there is room."""
        if (path := self._path(sig, data.codegen)) is None or data.lifted or data.library.has_dynamic_globals:
            return
        content = pickle.dumps(data._reduce(), protocol=pickle.HIGHEST_PROTOCOL)
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                try:
                    file.write(content)
                    file.flush()
                    os.replace(file.name, path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            _warn(f"{path.parent}: compiled functions cannot be kept: {error.strerror}; every run compiles them anew")
        else:
            _remove_unused(path.parent)

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        folder = directory() if self._enabled else None
        if folder is None:
            return None
        try:
            own = self._function.__module__, function_key(self._function)  # the file names the module
            parts = (*_environment(), codegen.magic_tuple(), self._options, _type_key(sig), own)
        except _NoKeyError:
            return None
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return folder / f"{self._function.__name__}-{digest[:32]}.compiled"


@cache
def _remove_unused(folder: Path) -> None:
    """Remove the files that nobody has used for a long time, and what killed processes have left; once in a process."""
    oldest = time.time() - UNUSED_DAYS * 86400
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()


def _environment() -> tuple[Any, ...]:
    config = numba.config
    settings = (config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT, config.ENABLE_PROFILING)
    return sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__, str(settings)


def _type_key(value: Any) -> Any:
    """Of a signature or a type of numba: named tuples with their fields, whose order matters, and their methods."""
    if isinstance(value, numba.core.typing.Signature):
        return _type_key(value.args), _type_key(value.return_type)
    if isinstance(value, types.BaseNamedTuple):
        methods = [(name, function_key(method)) for name, method in _methods(value.instance_class)]
        kind = value.instance_class
        return kind.__module__, kind.__qualname__, value.fields, methods, [_type_key(part) for part in value]
    if isinstance(value, tuple | types.BaseTuple):
        return [_type_key(part) for part in value]
    return str(value)


def _methods(class_: type) -> list[tuple[str, python_types.FunctionType]]:
    """Public methods of a class, its own and inherited, which compiled code may call (`models.law`)."""
    return [(name, method) for name, method in inspect.getmembers(class_, inspect.isfunction) if name[0] != "_"]


def function_key(function: Any) -> str:
    """SHA-256 of a Python function, compiled or not, and of everything that it refers to now."""
    seen: dict[int, int] = {}
    digest = hashlib.sha256()

    def add(*parts: Any) -> None:
        digest.update(repr(parts).encode())

    def add_code(code: python_types.CodeType) -> None:
        add(code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount, code.co_flags)
        add(code.co_exceptiontable)
        for constant in code.co_consts:
            if isinstance(constant, python_types.CodeType):
                add_code(constant)
            else:
                add(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)

    def names(code: python_types.CodeType) -> Iterator[str]:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, python_types.CodeType):
                yield from names(constant)

    def add_function(function: python_types.FunctionType) -> None:
        if id(function) in seen:
            add("seen", seen[id(function)])
            return
        seen[id(function)] = len(seen)
        add_code(function.__code__)
        add_value(function.__defaults__)
        used = sorted(set(names(function.__code__)))
        for name in used:
            if name in function.__globals__:
                add(name)
                add_value(function.__globals__[name], used)
        for cell in function.__closure__ or ():
            add_value(cell.cell_contents)

    def add_value(value: Any, used: list[str] | None = None) -> None:
        """`used`: names of the attributes that the function asks for, of one object or another."""
        if hasattr(value, "py_func"):
            add("compiled", sorted(value.targetoptions.items()))
            add_function(value.py_func)
        elif isinstance(value, _Intrinsic):
            add_function(value._defn)
        elif isinstance(value, python_types.FunctionType):
            add_function(value)
        elif isinstance(value, np.ndarray):
            add(value.dtype.str, value.shape, value.tobytes())
        elif value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
            add(type(value).__qualname__, value)
        elif str(getattr(value, "__module__", getattr(value, "__name__", ""))).partition(".")[0] in _LIBRARIES:
            add(type(value).__name__, getattr(value, "__qualname__", getattr(value, "__name__", None)) or repr(value))
        elif isinstance(value, python_types.ModuleType):
            for name in used or ():
                if name in vars(value):
                    add(value.__name__, name)
                    add_value(vars(value)[name], used)
        elif isinstance(value, type):
            add(value.__qualname__, getattr(value, "_fields", ()))
            for name, method in _methods(value):
                add(name)
                add_function(method)
        elif isinstance(value, tuple):
            add(type(value).__qualname__, len(value))
            for part in value:
                add_value(part)
        else:
            raise _NoKeyError(repr(value))

    add_function(function)
    return digest.hexdigest()
