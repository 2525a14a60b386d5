"""Variables of HDF5 files as arrays: those of an archive, or those of several journal segments joined."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from mpiepm.io.hdf5 import DIMENSIONS, text
from mpiepm.io.reading import for_reading

PER_RECORD = ("origin", "entry", "snapshot", "frame")  # dimensions along which records follow each other
_LARGE = {"x", "tracer"}  # variables with one of these are read when they are needed

Variables = tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]


def variables(file: h5py.File, mark: str = "units") -> Variables:
    """Path -> array of all but fields and trajectories, and path -> names of the dimensions of all.

    mark : an attribute that all variables of ours have, and nothing else

    A journal segment has dimensions of its own for every variable ("value_origin"); they get their names in the archive.
    """
    data: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and mark in item.attrs:
            if DIMENSIONS in item.attrs:
                dims[name] = tuple(text(item.attrs, DIMENSIONS).split())
            else:
                dims[name] = _by_scales(name, item)
            if not _LARGE & set(dims[name]):
                data[name] = item[()]

    file.visititems(collect)
    return data, dims


def _by_scales(name: str, dataset: h5py.Dataset) -> tuple[str, ...]:
    own = f"{name.rpartition('/')[2]}_"
    scales = [name if dataset.is_scale else next(iter(d.values())).name for d in dataset.dims]
    return tuple(scale.rpartition("/")[2].removeprefix(own) for scale in scales)


def of_segments(paths: Sequence[Path], constants: Mapping[str, np.ndarray]) -> Variables:
    """Those of journal segments, one after the other, and the `constants`; as far as there are records."""
    parts: dict[str, list[np.ndarray]] = {}
    dims: dict[str, tuple[str, ...]] = {}
    for path in paths:
        with for_reading(path) as file:
            found, names = variables(file)
        dims |= names
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    data = {name: join(values, dims[name]) for name, values in parts.items()}
    return {**data, **constants}, dims | {name: (name.rpartition("/")[2],) for name in constants}


def join(parts: Sequence[np.ndarray], dims: tuple[str, ...]) -> np.ndarray:
    """Records one after the other, filled up with NaN where lags are missing; of a constant the longest."""
    if dims[0] not in PER_RECORD:
        return max(parts, key=len)
    if len(dims) > 1 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        rest = [(0, 0)] * (len(dims) - 2)
        parts = [
            np.pad(part, [(0, 0), (0, longest - part.shape[1]), *rest], constant_values=np.nan) for part in parts
        ]
    return np.concatenate(parts)


def first_origins(data: Mapping[str, np.ndarray], dims: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, np.ndarray], int]:
    """The data without origins of which something is still missing, and how many are complete.

    With an overlap the counts of an origin are recorded when the next one begins, P and correlations when it ends.
    """
    numbers = [len(values) for name, values in data.items() if dims[name][0] == "origin"]
    complete = min(numbers) if "persistence/value" in data else 0
    return {n: values[:complete] if dims[n][0] == "origin" else values for n, values in data.items()}, complete
