"""What every room may ask of a model; a model is a class in a file of its own, and no other room names one.

A model is the section [model] of a parameter file: its fields are the keys, its class variables say which engines, which kind
of run and which output it has, and its methods what the rooms need to know. It registers itself when its file is imported;
those in `models` are imported when the first parameters are read.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from mpiepm.core.engine_sections import Engine
from mpiepm.core.output_sections import Output
from mpiepm.core.sections import Run, Section
from mpiepm.core.units import Units
from mpiepm.models.state import State

ROOM = 30.0  # of a bound on the mean of stress^2, over what a sound run has (`runtime.guard`)

_MODELS: dict[str, type["Model"]] = {}


class Model(Section):
    """[model] of any name.

    Attributes
    ----------
    engines : sections of the engines that it can have; the first is the default
    run, output : its kind of run, and what it records
    has_tracers : may there be a section [tracers]?
    measured : keys that name a run, and the key whose value is the mean of that quantity in that run
    """

    engines: ClassVar[tuple[type[Engine], ...]]
    run: ClassVar[type[Section]] = Run
    output: ClassVar[type[Section]] = Output
    has_tracers: ClassVar[bool] = False
    measured: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def engine_names(cls) -> list[str]:
        """Values of engine.name that it can have, the default first."""
        return [engine.model_fields["name"].default for engine in cls.engines]

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Register a class that has a name."""
        super().__pydantic_init_subclass__(**options)
        if name := cls.model_fields.get("name"):
            known = _MODELS.get(name.default)
            if known and known.__module__ != cls.__module__:
                raise TypeError(f"model {name.default!r} is there already, in {known.__module__}")
            _MODELS[name.default] = cls

    def units(self, engine: Engine) -> Units:
        """Units of what a run with this engine records."""
        raise NotImplementedError

    def start(self, seed: int, first_row: int, shape: tuple[int, int]) -> State:
        """State at the beginning, on the rows from `first_row` on of a slab of this shape."""
        raise NotImplementedError

    def largest_mean_square(self) -> float:
        """Bound on the mean over sites of stress^2 that no sound run reaches."""
        raise NotImplementedError

    def state_point(self) -> str:
        """What the model is at, for people."""
        return ", ".join(f"{key} = {value}" for key, value in self.model_dump(exclude_defaults=True).items() if key != "name")

    def state_fields(self) -> dict[str, str]:
        """Fields of the state, and their types."""
        return {"stress": "f8", "plastic_strain": "f8"}

    def busy(self) -> "Model":
        """A model of the same kind that does all that this one can do within a few steps, to compile its functions."""
        return self


@cache
def _load() -> None:
    """Import all files of `models`."""
    import mpiepm.models

    for module in pkgutil.iter_modules(mpiepm.models.__path__):
        importlib.import_module(f"mpiepm.models.{module.name}")


def models() -> dict[str, type[Model]]:
    """All models by name: those of the package, and those that a script has defined."""
    _load()
    return dict(sorted(_MODELS.items()))
