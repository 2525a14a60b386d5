"""How HDF5 files are opened for reading."""

from pathlib import Path

import h5py


def for_reading(path: Path) -> h5py.File:
    """The file, without HDF5's locks, which some file systems do not have.

    HDF5 opens a file twice in one process only in the same way. A script may have opened it with locks before; so it is then.

    Raises
    ------
    OSError : if HDF5 cannot read it
    """
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "file locking flag" not in str(error):
            raise
        return h5py.File(path, "r")
