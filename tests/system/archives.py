"""What the tests of whole programs need of archives."""

from pathlib import Path

import h5py


def contents(path: Path) -> dict[str, bytes]:
    """Every dataset of an archive, byte by byte."""
    found: dict[str, bytes] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, o: found.__setitem__(name, o[()].tobytes()) if isinstance(o, h5py.Dataset) else None)
    return found
