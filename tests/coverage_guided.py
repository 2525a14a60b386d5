"""Coverage-guided fuzzing of what reads parameters and checksums, by atheris; not part of the tests.

    pip install atheris
    python tests/coverage_guided.py parameters|checksums [-max_total_time=600] [CORPUS_DIR]

It ends at the first input that brings anything but ParameterError or DamagedError, and stores it.
"""

import contextlib
import sys
import tempfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mpiepm", "tomllib"]):
    from mpiepm.core.faults import ParameterError
    from mpiepm.io import checksum
    from mpiepm.models.parameters import parse


def parameters(data: bytes) -> None:
    """A parameter file and an override, or a fault."""
    text, _, override = data.decode("utf-8", errors="replace").partition("\0")
    with contextlib.suppress(ParameterError):
        params = parse(text, [override] if override else [])
        assert parse(params.to_toml()) == params


def checksums(data: bytes) -> None:
    """The end of a file of 1000 bytes, that which protects it included."""
    path = Path(tempfile.gettempdir()) / "coverage-guided.h5"
    path.write_bytes(bytes(1000) + data + b"\nmpiepm sums %016x %08x\n" % (1000, zlib.crc32(data)))
    with contextlib.suppress(checksum.DamagedError):
        sums = checksum.read(path)
        if sums:
            checksum.damaged(path, sums)


if __name__ == "__main__":
    target = {"parameters": parameters, "checksums": checksums}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
