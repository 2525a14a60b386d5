"""What the tests of whole programs need of archives and run directories."""

from pathlib import Path

import h5py
import pytest

from mpiepm import loop
from mpiepm.cli import main


def contents(path: Path) -> dict[str, bytes]:
    """Every dataset of an archive, byte by byte."""
    found: dict[str, bytes] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, o: found.__setitem__(name, o[()].tobytes()) if isinstance(o, h5py.Dataset) else None)
    return found


def left_by_a_kill(folder: Path) -> None:
    """Make a small unfinished run: two checkpoints and their journal."""
    parameters = folder.with_suffix(".toml")
    parameters.write_text("""
[model]
temperature = 0.2
[lattice]
size = [8, 12]
[run]
origins = 2
origin_duration = 4
equilibrate = { time = 1 }
[output]
lags = { first = 2 }
checkpoint_minutes = 1e-9
""")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.rundir, "tidy", lambda folder: None)
        with pytest.raises(SystemExit):
            main(["run", str(parameters), "--out", str(folder), "--quiet"])
    (folder / "archive.h5").unlink()
