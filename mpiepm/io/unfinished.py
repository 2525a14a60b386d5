"""What a run that is not finished has recorded: its newest sound checkpoint, and the journal segments that belong to it.

Nothing is written and no lock is taken: a run at work does not notice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpiepm.core.faults import ParameterError
from mpiepm.io import checkpoint, journal, rundir
from mpiepm.models.parameters import Parameters


@dataclass(frozen=True)
class Recorded:
    """A run as its newest sound checkpoint knows it.

    Attributes
    ----------
    history : provenance, one entry for each stretch
    segments : files that hold the records, in the order in which they were made
    constants : coordinates and bin edges as of the checkpoint, path in the archive -> array
    events : on the whole lattice;  time : since the start of the run;  origin : number of phases after equilibration, or -1
    """

    params: Parameters
    checkpoint: Path
    history: list[dict[str, Any]]
    segments: tuple[Path, ...]
    constants: dict[str, np.ndarray]
    events: int
    time: float
    origin: int


def exists(folder: Path) -> bool:
    """Does the directory hold a run that has begun and has no archive? What cannot be read holds none."""
    try:
        begun = folder.is_dir() and not rundir.is_finished(folder)
        return begun and ((folder / rundir.PARAMETERS).is_file() or bool(checkpoint.existing(folder)))
    except OSError:
        return False


def recorded(folder: Path) -> Recorded:
    """The state of an unfinished run. Later records are in the memory of the process that runs it, and not to be had.

    Raises
    ------
    ParameterError : if there is no sound checkpoint, or it was written before checkpoints had `constants`
    """
    params = rundir.parameters(folder)
    path, _, lost = checkpoint.newest_sound_here(folder, params)
    if path is None:
        raise ParameterError(f"{folder}: unfinished, and there is no checkpoint yet: its records can be read from the first on")
    header, state, phases = checkpoint.read_header(path), *(checkpoint.read_parts(path)[name] for name in ("state", "phases"))
    if lost or "" in header["segments"]:
        raise ParameterError(f"{folder}: segments of the journal are lost; resume the run: its archive will have the rest")
    if "constants" not in header:
        raise ParameterError(f"{path}: was written by an older version, whose unfinished runs cannot be read; finish the run")
    constants = {name: np.array(values) for name, values in header["constants"].items()}
    segments = tuple(journal.segment(folder, number) for number in range(len(header["segments"])))
    time = state["origin_time"] + state["time"]
    return Recorded(params, path, header["history"], segments, constants, state["events"], time, phases["origin"])
