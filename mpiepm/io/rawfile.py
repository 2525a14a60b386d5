"""A file for HDF5 to write to that survives a full disk."""

import io
from typing import Any

PIECE = 1 << 20  # bytes written at once: Linux takes several times as long for a file in pieces of 32 MB


class RawFile(io.FileIO):
    """A file that HDF5 writes to, which keeps its first error until `finish` and lets HDF5 believe that all is well.

    HDF5 cannot close a file whose writes fail: it stays open with what it could not write, and every later call fails on it.
    """

    _error: OSError | None = None

    def write(self, data: Any) -> int:
        """All of `data`, if the file is sound."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self._error is None and len(rest):
                rest = rest[super().write(rest[:PIECE]) :]
        except OSError as error:
            self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def finish(self) -> None:
        """Close; raises OSError if something has not been written."""
        super().close()
        if self._error is not None:
            raise self._error
