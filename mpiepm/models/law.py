"""A law: the local physics of a model, as compiled methods of a NamedTuple of its numbers.

The engines know a model by these methods alone; s is the stress of a site, in any place of compiled code:

    load(s)             how close the site is to an event: 0 and more, and never changes faster than s does
    log_rate(load)      logarithm of the event rate per sweep: at most 0, and does not fall with the load
    load_at(log_rate)   the load at which the rate has this logarithm, or less where no load has it
    event(s, words)     (stress drop, orientation) of an event, from four words of 64 random bits (`grid.rng.philox`)
    relative(load)      load / load_at(0), for extremal dynamics: a site is unstable where it is 1 or more

A method is plain Python that numba can compile. It is compiled for each law, kept on disk and inlined (`core.compile_cache`);
laws are told apart by their types, so every model has a NamedTuple class of its own, with `shear_modulus` among its numbers.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, Protocol

from numba import types
from numba.extending import overload_method

from mpiepm.core.jit import njit


class Law(Protocol):
    """What the module's text says; a class derived from NamedTuple."""

    @property
    def shear_modulus(self) -> float:
        """mu: an event adds its stress drop / mu to the plastic strain of its site."""

    def load(self, stress: float) -> float: ...
    def log_rate(self, load: float) -> float: ...
    def load_at(self, log_rate: float) -> float: ...
    def relative(self, load: float) -> float: ...
    def event(self, stress: float, words: tuple[int, int, int, int]) -> tuple[float, float]: ...


def _compile(name: str, method: Callable[..., Any]) -> None:
    """Let compiled code call the method of this name of any NamedTuple, with the arguments that this one has."""

    def find(law: Any, *arguments: Any) -> Callable[..., Any] | None:
        return getattr(law.instance_class, name, None)

    find.__signature__ = signature(method)  # type: ignore[attr-defined]
    overload_method(types.BaseNamedTuple, name, strict=False)(find)


for _name in ("load", "log_rate", "load_at", "relative", "event"):
    _compile(_name, getattr(Law, _name))


@njit
def rate(law: Law, stress: float) -> float:
    """Event rate of a site with this stress, per sweep."""
    logarithm = law.log_rate(law.load(stress))
    return math.exp(logarithm) if logarithm < 0.0 else 1.0
