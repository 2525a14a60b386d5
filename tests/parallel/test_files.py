"""Archive and checkpoint on 1-4 ranks: parallel HDF5 and the gather by rows give the same file, read back on any cut."""

import sys
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from archives import contents
from mpi4py import MPI

from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint, checksum, crc, hdf5, parallel, rows
from mpiepm.io.archive import Archive
from mpiepm.io.dataset import of_array, of_slabs
from mpiepm.io.disk import together
from mpiepm.models.parameters import parse
from mpiepm.observe.base import Variable
from mpiepm.simulation import Simulation

pytestmark = pytest.mark.parallel(1, 2, 3, 4)
SHAPE = (13, 10)


def whole(k: int) -> np.ndarray:
    return np.arange(k, k + SHAPE[0] * SHAPE[1], dtype=float).reshape(SHAPE)


@pytest.mark.parametrize("everyone", [True, False])
def test_fields_arrive_row_by_row(shared_path: Path, everyone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if everyone:
        assert parallel.BUILT or "pypi" in (Path(sys.prefix) / ".mpiepm-setup").read_text()
    else:
        monkeypatch.setattr(parallel, "BUILT", False)
        monkeypatch.setattr(rows, "PIECE", 3 * 8 * SHAPE[1])  # three rows
    domain = Domain(SHAPE)
    slabs = [whole(k)[domain.rows] for k in range(3)]
    datasets = {
        "fields/a": of_slabs(("snapshot", "x", "y"), slabs, domain.boundaries, {"units": "sigma_c"}),
        "fields/time": of_array(("snapshot",), np.array([1.0, 2.0, 3.0])),
    }
    path = shared_path / "file.h5"
    hdf5.write(path, domain, datasets, {"schema": "test"})
    with h5py.File(path, "r") as file:
        assert np.array_equal(file["fields/a"][:], np.stack([whole(k) for k in range(3)]))
        assert file["fields/a"].attrs["units"] == "sigma_c"
        assert file.attrs["schema"] == b"test"
        assert all(crc.stored(file[name]) == zlib.crc32(file[name][:].tobytes()) for name in datasets)
    with xarray.open_dataset(path, group="fields", engine="h5netcdf") as fields:
        assert fields["a"].dims == ("snapshot", "x", "y")
    assert not list(shared_path.glob("*.partial"))


@pytest.mark.parametrize("fault", ["refused", "lost", ""])
def test_rank_0_writes_where_mpi_io_does_not_work(shared_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 may refuse to write (as with MPI libraries that need a sync after each write), or what was written is not there."""

    def write(path: Path, partial: Path, domain: Domain, *_: object) -> None:
        with together(domain, path):
            if fault == "refused":
                raise OSError("Can't do independent write(s)")

    domain, partial = Domain(SHAPE), shared_path / "archive.h5.partial"
    monkeypatch.setattr(parallel, "_failed", False)
    with monkeypatch.context() as patch:
        if fault:
            patch.setattr(rows, "write_parallel", write)
        said = parallel.attempt(partial, domain)
    domain.barrier()
    several = parallel.BUILT and domain.size > 1
    assert bool(said) == (several and bool(fault))
    if said:
        assert {"refused": "independent", "lost": "numbers that were written are not there"}[fault] in said
    assert parallel.usable(domain) == (several and not fault)
    assert not partial.exists()
    slab = of_slabs(("snapshot", "x", "y"), [whole(1)[domain.rows]], domain.boundaries)
    hdf5.write(shared_path / "file.h5", domain, {"fields/a": slab}, {"schema": "test"})
    with h5py.File(shared_path / "file.h5", "r") as file:
        assert np.array_equal(file["fields/a"][0], whole(1))
    assert parallel.attempt(partial, domain) == ""  # another directory may be better


def test_checksums_are_those_of_one_rank(shared_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_PIECE", 512)  # so that there is something to share
    contents = {"fields/a": [whole(k) for k in range(3)], "fields/time": np.array([1.0, 2.0, 3.0])}
    found = []
    for name, domain in (("together", Domain(SHAPE)), (f"alone-{MPI.COMM_WORLD.rank}", Domain(SHAPE, MPI.COMM_SELF))):
        path = shared_path / name
        slabs = [field[domain.rows] for field in contents["fields/a"]]
        datasets = {
            "fields/a": of_slabs(("snapshot", "x", "y"), slabs, domain.boundaries),
            "fields/time": of_array(("snapshot",), contents["fields/time"]),
        }
        hdf5.write(path, domain, datasets, {"schema": "test"}, sealed=True)
        sums = checksum.read(path)
        assert sums is not None
        assert checksum.damaged(path, sums) == []
        found.append((sums.size, sums.extents, sums.sums))
    assert found[0] == found[1]


def test_a_file_that_cannot_be_sealed_is_an_error_everywhere(shared_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        checksum.seal(shared_path / "absent", Domain(SHAPE))


def test_a_failed_write_leaves_the_old_file_and_raises_everywhere(shared_path: Path) -> None:
    domain = Domain(SHAPE)
    path = shared_path / "absent" / "file.h5"
    with pytest.raises(OSError, match="cannot be written"):
        hdf5.write(path, domain, {"a": of_array(("n",), np.zeros(3))}, {})


def test_segments_and_memory_join_in_order(shared_path: Path) -> None:
    domain = Domain(SHAPE)
    variables = [
        Variable("g/field", ("origin", "x", "y"), "f4", "1", "", distributed=True),
        Variable("g/ragged", ("origin", "lag"), "f8", "1", "", ragged=True),
        Variable("s/count", ("entry",), "i8", "1", ""),
    ]
    paths = []
    for flush_after in ([], [0, 1, 3], [0, 1, 2, 3, 4]):
        folder = shared_path / f"flushed-{len(flush_after)}"
        if domain.rank == 0:
            folder.mkdir()
        domain.barrier()
        archive = Archive(folder, domain, variables)
        for k in range(5):
            archive.record("g/field", whole(k)[domain.rows])
            archive.record("g/ragged", np.arange(float(7 - k)))
            for m in range(k):
                archive.record("s/count", 10 * k + m)
            if k in flush_after:
                archive.flush()
        assert len(archive.segments) == len(flush_after)
        archive.finish({"persistence/lag": np.arange(7.0)}, {"params": "x"})
        paths.append(folder / "archive.h5")
    assert contents(paths[0]) == contents(paths[1]) == contents(paths[2])
    with h5py.File(paths[0], "r") as file:
        assert np.array_equal(file["g/field"][4], whole(4))
        assert np.array_equal(file["g/ragged"][4], [0, 1, 2, *[np.nan] * 4], equal_nan=True)
        assert list(file["s/count"]) == [10, 20, 21, 30, 31, 32, 40, 41, 42, 43]


@pytest.mark.parametrize("everyone", [parallel.BUILT, False])
def test_a_lost_segment_takes_its_origins_with_it(shared_path: Path, everyone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "BUILT", everyone)
    domain = Domain(SHAPE)
    variables = [
        Variable("g/field", ("origin", "x", "y"), "f4", "1", "", distributed=True),
        Variable("g/late", ("origin",), "i8", "1", ""),  # recorded when the next origin ends
        Variable("series/origin", ("entry",), "i8", "1", ""),
    ]
    archive = Archive(shared_path, domain, variables)
    for k in range(6):
        archive.record("g/field", whole(k)[domain.rows])
        if k:
            archive.record("g/late", k - 1)
        for _ in range(k):
            archive.record("series/origin", k)
        if k in (0, 2, 3):
            archive.flush()
    assert archive.find_lost() == []
    domain.barrier()
    if domain.rank == 0:
        (shared_path / "journal" / "000001.h5").unlink()
    domain.barrier()
    assert archive.find_lost() == [str(shared_path / "journal" / "000001.h5")]
    assert archive.find_lost() == []
    assert archive.lengths() == {"g/field": 3, "g/late": 2, "series/origin": 12}
    archive.record("g/late", 5)
    assert archive.finish({}, {"params": "x"}) == "3 origins, and what else was in 1 segment of the journal"
    with h5py.File(shared_path / "archive.h5", "r") as file:
        assert np.array_equal(file["g/field"][:], [whole(k) for k in (3, 4, 5)])
        assert file["g/late"][:].tolist() == [3, 4, 5]
        assert file["series/origin"][:].tolist() == [0] * 3 + [1] * 4 + [2] * 5


def test_checkpoint_is_read_back_on_another_cut(shared_path: Path) -> None:
    params = parse("[model]\ntemperature = 0.1", ["lattice.size=[13, 10]"])
    simulation = Simulation(Domain(SHAPE), params)
    for _ in range(30):
        simulation.step(0.7, lambda name, value: None)
    checkpoint.write(shared_path, simulation.domain, 1, simulation.parts, {"note": [1.5, "x"]})
    for number in (2, 3, 4):
        checkpoint.write(shared_path, simulation.domain, number, simulation.parts, {"note": number})
    assert [path.name for path in checkpoint.existing(shared_path)] == ["checkpoint-000004.h5", "checkpoint-000003.h5"]
    newest = checkpoint.existing(shared_path)[0]
    assert checkpoint.read_header(newest) == {"note": 4}
    for domain in (Domain(SHAPE, MPI.COMM_SELF), Domain(SHAPE)):
        other = Simulation(domain, params)
        checkpoint.restore(newest, domain, other.parts)
        for name, part in other.parts.items():
            scalars, fields = part.save()
            expected_scalars, expected_fields = simulation.parts[name].save()
            assert scalars == expected_scalars
            if domain.size == simulation.domain.size:
                assert all(np.array_equal(fields[k], expected_fields[k]) for k in expected_fields)
    MPI.COMM_WORLD.Barrier()


class Listed:
    """A part with rows of its own, as many as one likes."""

    lists = ("rows",)

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {}, {"rows": self.rows}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        self.rows = fields.get("rows", np.empty((0, 5)))


@pytest.mark.parametrize("everyone", [parallel.BUILT, False])
@pytest.mark.parametrize("lengths", [(0, 7, 0, 1), (5, 0, 0, 0), (0, 0, 0, 0)])
def test_lists_come_back_in_their_order(
    shared_path: Path, lengths: tuple[int, ...], everyone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "BUILT", everyone)
    domain, path = Domain(SHAPE), shared_path / "checkpoint.h5"
    own = 100.0 * domain.rank + np.arange(5.0 * lengths[domain.rank]).reshape(-1, 5)
    expected = domain.gather(own)
    checkpoint.write_file(path, domain, {"part": Listed(own)}, {})
    for reader in (Domain(SHAPE, MPI.COMM_SELF), domain):
        part = Listed(own)
        checkpoint.restore(path, reader, {"part": part})
        assert np.array_equal(reader.gather(part.rows), expected)
        assert abs(len(part.rows) - len(expected) / reader.size) < 1


def test_a_checkpoint_is_compared_with_its_checksums_once(shared_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one rank: all ranks together would read it as often as there are ranks."""
    params = parse("[model]\ntemperature = 0.1", ["lattice.size=[13, 10]"])
    simulation = Simulation(Domain(SHAPE), params)
    header = {"segments": [], "params": params.to_toml(), "history": []}
    checkpoint.write(shared_path, simulation.domain, 1, simulation.parts, header)
    compared: list[str] = []
    damaged = checksum.damaged

    def note(path: Path, sums: checksum.Sums, names: list[str] | None = None) -> list[str]:
        compared.extend(sums.sums if names is None else names)
        return damaged(path, sums, names)

    monkeypatch.setattr(checksum, "damaged", note)
    newest, *_ = checkpoint.newest_sound(shared_path, simulation.domain, params)
    assert newest is not None
    assert checkpoint.read_header(newest) == header
    checkpoint.restore(newest, simulation.domain, simulation.parts)
    assert compared.count("state/stress") == (simulation.domain.rank == 0)
