"""The campaign file: a base, grids over it, and what a run needs; every point of it has a directory of its own.

A point is its complete parameters, not its place in the file. Its directory is named after the axes of its grid, as in
L=64/T=0.02/seed=1; one that holds these very parameters under another name is found and used as it is, so the file may be
edited at any time: points are added, and none is done twice or lost.
"""

import itertools
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mpiepm.campaign import resources
from mpiepm.campaign.axes import combinations, label
from mpiepm.campaign.overlay import SHORT, Flat, flatten, nest, overlay, settle
from mpiepm.campaign.resources import Needs, Packing, Resources
from mpiepm.campaign.site import Site
from mpiepm.campaign.site import load as load_site
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import LARGEST, Lattice, Section
from mpiepm.core.trajectory import differences
from mpiepm.engine.layout import most_ranks
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters, from_values, load, load_toml, validated


def _no_path(name: str) -> str:
    """The name of one folder."""
    if not re.fullmatch(r"[\w.+=-]*", name) or (name and not name.strip(".")):
        raise PydanticCustomError("name", "letters, digits and _ . + = -, not dots alone")
    return name


Name = Annotated[str, AfterValidator(_no_path)]


class Grid(Section):
    """[[grid]]: every combination of the values of its axes."""

    name: Name = Field(default="", description="folder of these points, none by default")
    over: dict[str, Any] = Field(description="axes: L, T, a, seed (a number: 1 ... so many), any dotted key; and their values")
    set: dict[str, Any] = Field(default={}, description="parameters that differ from [base]")
    resources: dict[str, Any] = Field(default={}, description="what differs from [resources]")


class File(Section):
    """A campaign file."""

    name: Name = Field(default="", description="of the campaign; default: that of the file")
    base: dict[str, Any] = Field(description="a parameter file, with tables and expressions where it needs them")
    grid: Annotated[tuple[Grid, ...], Field(strict=False)]
    resources: Needs = Field(default=Needs())
    packing: Packing | None = Field(default=None, description="many small runs in one job; default: a job each")
    site: str | None = Field(default=None, description="site profile, relative to this file")


@dataclass(frozen=True)
class Point:
    """One run of a campaign.

    Attributes
    ----------
    name : by the axes, unique in the campaign;  folder : where it lies, usually OUT/name
    axes : L, T, ... and what else the grid varies
    conflict : why the run in `folder` cannot become this one, "" if it can
    """

    name: str
    folder: Path
    axes: Mapping[str, Any]
    params: Parameters
    resources: Resources
    conflict: str = ""

    @property
    def sites(self) -> int:
        """N."""
        return self.params.lattice.size[0] * self.params.lattice.size[1]


@dataclass(frozen=True)
class Campaign:
    """A campaign file, read: its points in the order of the file.

    Attributes
    ----------
    strays : run directories in `out` that no point of the file stands for
    site : where it is to run;  profile : the file that tells so, if there is one
    """

    name: str
    file: Path
    out: Path
    points: tuple[Point, ...]
    strays: tuple[Path, ...]
    packing: Packing | None
    site: Site
    profile: Path | None


def read(path: Path, out: Path | None = None, profile: Path | None = None) -> Campaign:
    """The campaign of a file; its runs lie in `out` (default: results/NAME, or where the site has its scratch).

    Raises
    ------
    ParameterError : if the file is wrong, or a point's directory holds a run whose parameters cannot be read
    """
    source = str(path)
    file = validated(File, load_toml(path), source)
    name = file.name or path.stem
    profile = profile or (path.parent / file.site if file.site else None)
    site = load_site(profile) if profile else Site()
    out = out or site.folder(name) or Path("results") / name
    if _exists(out) and not out.is_dir():
        raise ParameterError(f"--out {out}: exists and is not a directory")
    try:
        points, strays = _place(list(_points(file, out)), out)
    except ParameterError as error:
        raise ParameterError("\n".join(f"{source}: {line}" for line in str(error).splitlines())) from None
    return Campaign(name, path, out, tuple(points), tuple(strays), file.packing, site, profile)


def _points(file: File, out: Path) -> Iterator[Point]:
    """All points; of those with the same parameters only the first."""
    base, named, known = flatten(file.base), dict[str, Point](), set[Parameters]()
    if not file.grid:
        raise ParameterError("grid: at least one [[grid]] is needed")
    for number, grid in enumerate(file.grid, 1):
        try:
            found = list(combinations(grid.over))
        except ParameterError as error:
            raise ParameterError(f"grid {number}: {error}") from None
        layers = [base, flatten(grid.set)]
        needs = validated(Needs, {**file.resources.model_dump(), **grid.resources}, "resources")
        for axes in found:
            name = f"{grid.name}/{label(axes)}".strip("/")
            try:
                point = _point(name, out / name, [*layers, flatten(axes)], axes, needs)
            except ParameterError as error:
                raise ParameterError("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from None
            if (twin := named.setdefault(name, point)).params != point.params:
                changed = "; ".join(map(str, differences(twin.params, point.params)))
                raise ParameterError(f"{name}: two points of this name differ, give a grid a name: {changed}")
            if point.params not in known:
                known.add(point.params)
                yield point


def _point(name: str, folder: Path, layers: Sequence[Flat], axes: Mapping[str, Any], needs: Needs) -> Point:
    variables = _variables(layers, axes)
    params = from_values(nest(settle(layers, variables)))
    for key, quantity in params.model.measured.items():
        if (given := getattr(params.model, key)) is not None:
            raise ParameterError(f"model.{key} = {given!r}: give the number, model.{quantity}")
    needed = resources.resolve(needs, variables)
    if needed.ranks > (most := most_ranks(params)):
        raise ParameterError(f"resources.ranks = {needed.ranks}: must be at most {most} for this lattice and engine")
    return Point(name, folder, variables, params, needed)


def _variables(layers: Sequence[Flat], axes: Mapping[str, Any]) -> dict[str, Any]:
    """What tables and expressions may refer to: L and T, whether they are axes or not, and all axes."""
    keys = [SHORT[name] for name in ("L", "T", "a")]
    about = [{key: layer[key] for key in keys if key in layer} for layer in layers]
    known: dict[str, Any] = {}
    for _ in range(2):  # either may depend on the other
        found = overlay(about, known | dict(axes))
        size, temperature = found.get("lattice.size", Lattice().size), found.get("model.temperature")
        if isinstance(size, list | tuple) and all(isinstance(side, int | float) and 0 < side < LARGEST for side in size):
            known["L"] = size[0] if len(set(size)) == 1 else math.sqrt(math.prod(size))
        if isinstance(temperature, int | float):
            known["T"] = temperature
    return known | dict(axes) | known


def _place(points: list[Point], out: Path) -> tuple[list[Point], list[Path]]:
    """The points with the directories they really lie in, and directories of other runs."""
    texts = {folder: _text(folder / rundir.PARAMETERS) for folder in _run_directories(out)}
    taken = set[Path]()
    for number, point in enumerate(points):
        folder = point.folder
        if folder not in texts and _exists(folder / rundir.PARAMETERS):  # that was found under another name, through a link
            texts[folder] = _text(folder / rundir.PARAMETERS)
        if folder in texts:
            if texts[folder] != point.params.to_toml():
                points[number] = replace(point, conflict=rundir.refusal(folder, point.params))
            taken.add(folder)
    if len(taken) == len(texts):
        return points, []
    known = set(map(_identity, taken))
    strays = defaultdict[str, list[Path]](list)
    for folder in sorted((folder for folder in texts if _identity(folder) not in known), key=rundir.is_finished):
        strays[_canonical(folder / rundir.PARAMETERS, texts[folder])].append(folder)
    placed = []
    for point in points:
        same = [] if point.folder in taken else strays.get(point.params.to_toml(), [])
        placed.append(replace(point, folder=same.pop()) if same else point)  # of several one that is finished
    return placed, sorted(itertools.chain(*strays.values()))


def _run_directories(out: Path) -> Iterator[Path]:
    """All of them in `out`, each once: also those in other run directories, and behind links."""
    seen: set[tuple[int, int] | None] = {None}
    for folder, inner, files in os.walk(out, followlinks=True):
        if (identity := _identity(folder)) in seen:
            inner.clear()
            continue
        seen.add(identity)
        if rundir.PARAMETERS in files:
            inner[:] = [name for name in inner if name != "journal"]
            yield Path(folder)


def _identity(folder: Path | str) -> tuple[int, int] | None:
    """Of the directory, whatever it is called; None if it has vanished."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _exists(path: Path) -> bool:
    """Is it there? Raises ParameterError if it cannot be."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror}") from None
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _canonical(path: Path, text: str) -> str:
    """The file as this version would write it; what it cannot read stays as it is."""
    try:
        return load(path).to_toml()
    except ParameterError:
        return text
