"""`mpiepm verify`: is everything in a run directory what was written, and does it fit together?

Two kinds of check. Checksums find every byte that has changed since it was written. Consistency finds what was wrong before:
the same thing is often known from two sides, such as P(t) from the map of first events, or the number of events from rates.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from mpiepm.analysis.consistency import check_contents
from mpiepm.analysis.read import read
from mpiepm.core import trajectory
from mpiepm.core.faults import ParameterError
from mpiepm.io import archive, checkpoint, crc, journal, rundir
from mpiepm.io.hdf5 import text
from mpiepm.io.opening import damaged, open_archive, seal_of
from mpiepm.io.reading import for_reading
from mpiepm.models.parameters import Parameters, load, parse

_Result = TypeVar("_Result")


@dataclass
class Report:
    """What was found in one directory, as lines for the screen."""

    folder: Path
    checks: int = 0
    findings: list[str] = field(default_factory=list)

    def check(self, fine: Any, finding: str) -> bool:
        """Note one check and, unless all is `fine`, what was found."""
        self.checks += 1
        if not np.all(fine):
            self.findings.append(finding)
        return bool(np.all(fine))

    def attempt(self, work: Callable[[], _Result]) -> _Result | None:
        """Note one check, whether this works; what it gives."""
        try:
            result = work()
        except ParameterError as error:
            self.check(False, str(error))
            return None
        self.check(True, "")
        return result

    def __str__(self) -> str:
        last = f"{len(self.findings)} of {self.checks} checks failed" if self.findings else f"ok, {self.checks} checks"
        return "\n".join([*self.findings, f"{self.folder}: {last}"])


def verify(folder: Path) -> Report:
    """Check a run directory, finished or not.

    Raises
    ------
    ParameterError : if it holds no run
    """
    rundir.require_run(folder)
    report = Report(folder)
    params = report.attempt(lambda: load(folder / rundir.PARAMETERS))
    if (folder / checkpoint.STATE).exists():
        _checkpoint(report, folder / checkpoint.STATE, params)
    if (folder / archive.NAME).exists():
        _archive(report, params)
        return report
    seals: list[str] = []
    for path in checkpoint.existing(folder):
        seals = max(_checkpoint(report, path, params), seals, key=len)
    for number, seal in enumerate(seals):
        path = journal.segment(folder, number)
        if report.check(seal, f"{path}: was lost while the run went on"):
            report.attempt(lambda path=path: journal.seal_of_segment(path))  # type: ignore[misc]
    return report


def _archive(report: Report, params: Parameters | None) -> None:
    path = report.folder / archive.NAME
    file = report.attempt(lambda: open_archive(path, archive.SCHEMA))
    if file is None:
        return
    with file:
        before = len(report.findings)
        try:
            _check_sums(report, path, file)
            run = report.attempt(lambda: read(report.folder)) if len(report.findings) == before else None
            if run is None:
                return  # no need to ask whether damaged numbers fit together
            lost = text(file.attrs, "lost") if "lost" in file.attrs else ""
            report.check(not lost, f"{path}: lost before it was written: {lost}")
            if params:
                there = parse(text(file.attrs, "params"))
                fits = there == params or trajectory.is_longer(params, there)
                report.check(fits, f"{report.folder / rundir.PARAMETERS}: differs from the parameters in {archive.NAME}")
            check_contents(run, file, lambda fine, finding: report.check(fine, f"{path}: {finding}"))
        except (OSError, RuntimeError, LookupError) as error:
            report.check(False, str(damaged(path, error)))


def _check_sums(report: Report, path: Path, file: h5py.File) -> None:
    """Compare every dataset that has a checksum with it."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in names:
        try:
            if (expected := crc.stored(file[name])) is not None:
                fine = crc.of_dataset(file[name]) == expected
                report.check(fine, f"{path}: {name}: not what was written: its checksum differs")
        except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
            report.check(False, f"{damaged(path, error)}: {name}")


def _checkpoint(report: Report, path: Path, params: Parameters | None) -> list[str]:
    """Check one checkpoint; seals of the journal segments that it needs."""
    whole = report.attempt(lambda: seal_of(path, "checkpoint", checkpoint.SCHEMA))
    header = report.attempt(lambda: checkpoint.read_header(path)) if whole else None
    if header is None:
        return []
    with for_reading(path) as file:
        for name in ("state/stress", "state/plastic_strain"):
            if not report.check(name in file, f"{path}: {name} is missing"):
                continue
            report.check(np.isfinite(file[name][()]), f"{path}: {name} is not finite everywhere")
            if params:
                shape = file[name].shape[1:]
                report.check(shape == params.lattice.size, f"{path}: {name} is {shape}, not the lattice")
    return list(header["segments"] or ())
