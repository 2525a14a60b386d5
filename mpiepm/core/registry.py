"""What registers itself when its file is imported: the observers, in the order of the archive."""

import importlib
import pkgutil
from functools import cache
from typing import Any

_observers: list[type[Any]] = []


def add_observer(kind: type[Any]) -> None:
    """Register a class of observers; it replaces one of the same file and name.

    Raises
    ------
    TypeError : if another file has defined one of this name
    """
    for known in _observers:
        if known.name == kind.name and (known.of_origins, known.of_stationary) == (kind.of_origins, kind.of_stationary):
            if known.__module__ != kind.__module__:
                raise TypeError(f"observer {kind.name!r} is there already, in {known.__module__}")
            _observers.remove(known)
            break
    _observers.append(kind)


@cache
def _load() -> None:
    package = importlib.import_module("mpiepm.observe")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def observers(*, stationary: bool) -> tuple[type[Any], ...]:
    """Classes of observers for one kind of run: those of the package, and those that a file of the user has defined."""
    _load()
    kinds = [kind for kind in _observers if (kind.of_stationary if stationary else kind.of_origins)]
    return tuple(sorted(kinds, key=lambda kind: (kind.order, kind.name)))
