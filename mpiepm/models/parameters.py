"""Parameters: TOML in, checked once on entry, frozen inside, complete TOML out.

Keys, defaults and meanings stand in `core.sections`, `core.engine_sections`, `core.output_sections` and in the files of the
models and observers; here they are put together and checked against each other. A wrong file raises `ParameterError` with one
line for each fault: the dotted key, the value found, what is allowed.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import tomli_w
from pydantic import BaseModel, Field, ValidationError, create_model, field_validator, model_validator

from mpiepm.core import imports, registry
from mpiepm.core.engine_sections import Auto, Event, Split, Step, Sweep
from mpiepm.core.faults import ParameterError
from mpiepm.core.output_sections import Tracers
from mpiepm.core.sections import Lattice, Run, Section, StationaryRun
from mpiepm.core.trajectory import Change
from mpiepm.core.units import Units
from mpiepm.core.wording import describe, shown
from mpiepm.models.base import Model, models

_LARGEST_FILE = 1024**2  # bytes
_DEFAULT = "epmq"  # the model of a file that names none
_ENGINES = ("sweep", "event", "split", "auto", "step")

_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class Parameters(Section):
    """All parameters of a run, valid and frozen; each model has a class of its own, see `parameters_of`."""

    if TYPE_CHECKING:
        imports: tuple[str, ...] | None
        lattice: Lattice
        model: Any  # of the class that model.name names
        engine: Sweep | Event | Split | Auto | Step
        run: Run | StationaryRun
        tracers: Tracers | None
        output: Any  # of the class that the model names

    kind: ClassVar[type[Model]]

    @property
    def units(self) -> Units:
        """Units of what the run records."""
        units: Units = self.model.units(self.engine)
        return units

    @field_validator("engine", mode="before", check_fields=False)
    @classmethod
    def _engine_of_the_model(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        offered = cls.kind.engine_names()
        name = value.get("name", offered[0])
        if name in _ENGINES and name not in offered:
            model = cls.kind.model_fields["name"].default
            raise ValueError(f"engine.name = {name!r}, model.name = {model!r}: must be {_alternatives(offered)}")
        return {"name": name, **value}

    @model_validator(mode="after")
    def _sections_fit_together(self) -> "Parameters":
        for name in ("engine", "model", "run", "tracers", "output"):
            if isinstance(section := getattr(self, name, None), Section):
                section.check(self)
        for _, section in self.output:
            if isinstance(section, Section):
                section.check(self)
        return self

    def to_toml(self) -> str:
        """The complete file, defaults filled in; reading it back gives equal parameters."""
        values = self.model_dump(mode="json", exclude_none=True)
        values["model"] = {"name": values["model"].pop("name"), **values["model"]}  # first
        return tomli_w.dumps(values)

    def with_measured(self, key: str, value: float) -> "Parameters":
        """These, with a measured value in place of the key of the model that names a run; see `models.base.Model.measured`.

        Raises
        ------
        ParameterError : if the value does not fit
        """
        model = self.model.model_dump(exclude_none=True) | {self.kind.measured[key]: value}
        del model[key]
        return validated(type(self), {**self.model_dump(exclude_none=True), "model": model}, f"model.{key}")


def _alternatives(names: Sequence[str]) -> str:
    """'a', 'b' or 'c'."""
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last


def parameters_of(model: type[Model]) -> type[Parameters]:
    """The class of the parameters of a run of this model, with the keys of all observers that such a run can have."""
    return _made(model, registry.observers(stationary=issubclass(model.run, StationaryRun)))


@cache
def _made(model: type[Model], observers: tuple[type[Any], ...]) -> type[Parameters]:
    stationary = issubclass(model.run, StationaryRun)
    keys: dict[str, Any] = {}
    for observer in observers:
        keys |= observer.keys(stationary=stationary)
    output = create_model("Output", __base__=model.output, __module__=__name__, **keys)
    first, *more = model.engines
    engine = Annotated[reduce(or_, more, first), Field(discriminator="name")] if more else first
    run_is_needed = any(field.is_required() for field in model.run.model_fields.values())
    files = "Python files with models or observers of one's own, imported first; relative to the parameter file"
    sections: dict[str, Any] = {
        "imports": (Annotated[tuple[str, ...] | None, Change.ALWAYS], Field(default=None, strict=False, description=files)),
        "lattice": (Lattice, Lattice()),
        "model": (model, ...),
        "engine": (engine, first()),
        "run": (model.run, ...) if run_is_needed else (model.run, Field(default_factory=model.run)),
    }
    if model.has_tracers:
        sections["tracers"] = (Tracers | None, Field(default=None, description="none"))
    sections["output"] = (output, output())
    made = create_model("Parameters", __base__=Parameters, __module__=__name__, **sections)
    made.kind = model
    return made


def _roots() -> dict[str, type[Parameters]]:
    return {name: parameters_of(model) for name, model in models().items()}


def _root(values: Mapping[str, Any]) -> type[Parameters]:
    """Which parameters these are, by the name of the model.

    Raises
    ------
    ParameterError : if there is no such model, or a file cannot be imported
    """
    for path in _imports(values):
        imports.load(Path(path).resolve())
    roots, model = _roots(), values.get("model")
    name = model.get("name", _DEFAULT) if isinstance(model, Mapping) else _DEFAULT
    if not isinstance(name, str) or name not in roots:
        raise ParameterError(f"model.name = {shown(name)}: must be one of {', '.join(map(repr, roots))}")
    return roots[name]


def _imports(values: Mapping[str, Any]) -> list[str]:
    """The key `imports`; none if it is not a list of texts, which validation will say."""
    given = values.get("imports") or []
    return [path for path in given if isinstance(path, str)] if isinstance(given, list | tuple) else []


def _read_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return _toml(text)
    except ValueError as error:
        raise ParameterError(f"{source}: not valid TOML: {error}") from None


def parse(
    text: str, overrides: Sequence[str] = (), source: str = "parameters", folder: Path | None = None
) -> Parameters:
    """Parameters from TOML `text`, with ``section.key=value`` overrides applied on top (values are TOML as well).

    folder : what `imports` in the text are relative to (default: the working directory)

    Raises
    ------
    ParameterError : one line per fault
    """
    values = _read_toml(text, source)
    if _imports(values):
        values["imports"] = [str(((folder or Path()) / path).resolve()) for path in _imports(values)]
    for override in overrides:
        _apply(values, override)
    try:
        root = _root(values)
    except ParameterError as error:
        raise ParameterError(f"{source}: {error}") from None
    return validated(root, values, source)


def from_values(values: Mapping[str, Any]) -> Parameters:
    """Parameters from nested dictionaries; see `parse`."""
    return validated(_root(values), values)


def validated(root: type[_AnyModel], values: Mapping[str, Any], source: str = "") -> _AnyModel:
    """A `root` from nested dictionaries.

    Raises
    ------
    ParameterError : one line per fault, after the name of the `source`
    """
    try:
        return root.model_validate(values)
    except ValidationError as error:
        others = {name: other for name, other in _roots().items() if other is not root}
        lines = dict.fromkeys(describe(root, fault, others) for fault in error.errors(include_url=False))
        raise ParameterError("\n".join(f"{source}: {line}" if source else line for line in lines)) from None


def _toml(text: str) -> dict[str, Any]:
    """Raises ValueError if it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # int() of more than 4300 digits
        raise ValueError("a number has thousands of digits") from None


def _apply(values: dict[str, Any], override: str) -> None:
    """Set ``section.key=value``; a value that is no TOML is taken as a string, as the shell strips quotes."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ParameterError(f"--set {override}: must be section.key=value")
    try:
        parsed = _toml(f"value = {text}")
    except ValueError:
        parsed = {}
    section = values
    for depth, part in enumerate(parts[:-1], 1):
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ParameterError(f"--set {override}: {'.'.join(parts[:depth])} is not a section")
    section[parts[-1]] = parsed["value"] if parsed.keys() == {"value"} else text.strip()


def load(path: Path, overrides: Sequence[str] = ()) -> Parameters:
    """Parameters from the TOML file `path`; see `parse`."""
    return parse(_read_text(path), overrides, str(path), path.parent)


def load_toml(path: Path) -> dict[str, Any]:
    """Whatever the TOML file `path` holds.

    Raises
    ------
    ParameterError : if it cannot be read or is not TOML
    """
    return _read_toml(_read_text(path), str(path))


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ParameterError(f"{path}: too large for a parameter file, must be at most {_LARGEST_FILE} bytes")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{path}: not a text file, must be TOML in UTF-8") from None
