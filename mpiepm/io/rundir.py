"""The directory of a run: what belongs to us in it, and what a new run may do with what it finds."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mpiepm.core import trajectory
from mpiepm.core.faults import ParameterError, WriteError
from mpiepm.grid.domain import Domain
from mpiepm.io import archive, checkpoint, journal, lock
from mpiepm.io.disk import NO_ROOM, numbers, sync, together, write_text
from mpiepm.io.hdf5 import text
from mpiepm.io.reading import for_reading
from mpiepm.models.parameters import Parameters, load, parse

PARAMETERS = "params.toml"
LOG = "run.log"
HEARTBEATS = "heartbeats"  # of `watchdog`, on several ranks, while they run
_OLD = 86400  # seconds: a day
_NAMES = re.compile(
    rf"{re.escape(PARAMETERS)}(\.partial)?|{re.escape(LOG)}(\.1)?|{HEARTBEATS}|{re.escape(archive.NAME)}(\.partial)?"
    rf"|{re.escape(checkpoint.STATE)}(\.partial)?|checkpoint-\d{{6,}}\.h5(\.partial)?"
    r"|journal/\d{6,}\.h5(\.partial)?"
)


def trial_file(folder: Path) -> Path:
    """Where `io.parallel` may write: a name of which every start removes what a kill has left."""
    return folder / (archive.NAME + ".partial")


def _found(folder: Path) -> list[Path]:
    """Everything in the directory that has a name that we use."""
    if not folder.is_dir():
        return []
    segments = journal.folder_of(folder)
    inside = segments.iterdir() if segments.is_dir() and not segments.is_symlink() else ()
    return [path for path in (*folder.iterdir(), *inside) if _NAMES.fullmatch(path.relative_to(folder).as_posix())]


def _is_run(path: Path) -> bool:
    """Is there a run where this file is? A log, or a file that never became complete, does not make one."""
    return path.name not in (LOG, LOG + ".1", HEARTBEATS) and path.suffix != ".partial"


def _in_the_way(path: Path, what: str = "not a file of mpiepm") -> ParameterError:
    return ParameterError(f"{path}: is in the way, and {what}; remove it yourself or choose another --out")


def _is_ours(path: Path) -> bool:
    """Did mpiepm write the file that has this name? Links are never ours, unfinished and damaged files are."""
    if path.is_symlink() or not path.is_file():
        return False
    if path.suffix == ".partial":
        return True
    try:
        if path.name == PARAMETERS:
            text = path.read_text(encoding="utf-8")
            return parse(text).to_toml() == text
        if path.name == HEARTBEATS:
            return True
        if path.name in (LOG, LOG + ".1"):
            with path.open(encoding="utf-8") as file:
                return re.match(r"\d{4}-\d\d-\d\d \S+ |$", file.readline(100)) is not None
        return _schema(path).startswith("mpiepm ")
    except ValueError:
        return False
    except OSError:
        with path.open("rb") as file:
            return file.read(4) == b"\x89HDF"


def _schema(path: Path) -> str:
    """What kind of file it says it is; raises OSError if it cannot be read."""
    with for_reading(path) as file:
        return text(file.attrs, "schema") if "schema" in file.attrs else ""


def _run_files(folder: Path) -> list[Path]:
    """The files of a run in the directory.

    Raises
    ------
    ParameterError : if a file of somebody else stands where a run would write
    """
    segments = journal.folder_of(folder)
    if segments.is_symlink() or (segments.exists() and not segments.is_dir()):
        raise _in_the_way(segments, "no folder of mpiepm")
    found = _found(folder)
    ours = [path for path in found if _is_ours(path)]
    run = any(path.suffix == ".h5" for path in ours)
    for path in found:
        beside = run and path.name == PARAMETERS and not path.is_symlink()  # the run's, be it of an older version
        if path not in ours and not beside:
            raise _in_the_way(path)
    return found


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Hold the run directory against other processes, on one rank. It is made if need be, and removed again if left empty.

    Raises
    ------
    ParameterError : if another process holds it, or it cannot be made
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"--out {folder}: exists and is not a directory")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"--out {folder}: {error.strerror}: {error.filename}") from None
    try:
        with lock.held(folder):
            yield
    finally:
        with suppress(OSError):  # from the first that is not empty
            for path in made:
                path.rmdir()


def prepare(folder: Path, params: Parameters | None, *, resume: bool, overwrite: bool) -> tuple[Parameters, bool]:
    """Check the directory before any work starts (on rank 0, which holds it): the parameters, and whether to resume.

    Raises
    ------
    ParameterError : if the directory is in use and neither `resume` nor `overwrite` says what to do, if it holds another
        run than the one to be resumed, if files of others are in the way, or if it cannot be made; nothing in it has
        changed then
    """
    if resume and is_finished(folder, params):
        try:
            if not _schema(folder / archive.NAME).startswith("mpiepm "):
                raise _in_the_way(folder / archive.NAME)
        except OSError as error:
            raise ParameterError(f"{folder / archive.NAME}: cannot be read, the run cannot be resumed: {error}") from None
        return _resumable(folder, params), True
    with occupied(folder):
        if resume and any(_is_run(path) and _is_ours(path) for path in _found(folder)):
            return _resumable(folder, params), True
        found = _run_files(folder)
        used = any(map(_is_run, found))
        if params is None:
            raise ParameterError(f"--resume: {folder} holds no run, and no parameter file was given")
        if used and not overwrite:
            raise ParameterError(f"--out {folder}: holds a run already; use --resume to continue it or --overwrite to drop it")
        try:
            for path in found:
                if used or path.suffix == ".partial":
                    path.unlink()
            journal.remove(folder)
        except OSError as error:
            raise ParameterError(f"--out {folder}: {error.strerror}: {error.filename}") from None
        _write(folder / PARAMETERS, params.to_toml())
        return params, False


def _write(path: Path, text: str) -> None:
    """Write the parameters.

    Raises
    ------
    WriteError : if there is no room
    ParameterError : if it must not be written
    """
    try:
        write_text(path, text)
    except OSError as error:
        reason = f"{path}: cannot be written: {error.strerror} ({numbers(path.parent, len(text))})"
        raise (WriteError if error.errno in NO_ROOM else ParameterError)(reason) from None


def plant(folder: Path, params: Parameters) -> None:
    """Put the parameters into the directory of a run that begins or goes on later, with --resume.

    Raises
    ------
    ParameterError : if it cannot be made, or holds a run that cannot go on with these parameters
    """
    if not (folder / PARAMETERS).exists():
        prepare(folder, params, resume=True, overwrite=False)
    elif load(folder / PARAMETERS) != params:
        with occupied(folder):
            _resumable(folder, params)


def _resumable(folder: Path, params: Parameters | None) -> Parameters:
    """The parameters with which the run goes on, which then lie in the directory; `params` as far as they may change."""
    stored = parameters(folder)
    if not (folder / PARAMETERS).exists():
        _write(folder / PARAMETERS, stored.to_toml())
    if params is None or params == stored:
        return stored
    if why := refusal(folder, params):
        raise ParameterError(f"--resume: {why}")
    if is_finished(folder, params):  # what else has changed comes too late
        params = _of_archive(folder) or stored
    if params != stored:
        _write(folder / PARAMETERS, params.to_toml())
    return params


def refusal(folder: Path, params: Parameters) -> str:
    """Why the run in the directory cannot go on with these parameters, "" if it can (`core.trajectory`).

    Raises
    ------
    ParameterError : if there are no readable parameters in it
    """
    stored, reached = _of_archive(folder) or parameters(folder), None
    others = f"{folder} holds a run with other parameters: "
    if (folder / archive.NAME).exists():
        reached = trajectory.Reached(stored.run.origins, stored.run.origin_duration or 0.0)
        refused = trajectory.refusals(stored, params, reached)
        if not refused and trajectory.is_longer(params, stored):
            if not (folder / checkpoint.STATE).exists():
                return f"{folder}: the finished run cannot be made longer: it kept no {checkpoint.STATE} (output.keep_state)"
            if (folder / archive.NAME).is_symlink():
                return f"{folder / archive.NAME}: is a link; a run can only be made longer where its files are"
        return others + "; ".join(refused) if refused else ""
    refused = trajectory.refusals(stored, params, None)
    for path in checkpoint.resumable(folder) if not refused else ():
        with suppress(ParameterError):  # a damaged one is the matter of those who read it
            there, reached = checkpoint.progress(path)
            if not (refused := trajectory.refusals(there, params, reached)):
                return ""
    return others + "; ".join(refused) if refused else ""


def parameters(folder: Path) -> Parameters:
    """Those of the run in the directory; if their file has been removed, what the archive or a checkpoint knows.

    Raises
    ------
    ParameterError : if they are damaged, or nobody knows them
    """
    try:
        return load(folder / PARAMETERS)
    except ParameterError:
        with suppress(OSError):
            if not (folder / PARAMETERS).exists():
                if found := _of_archive(folder):
                    return found
                for path in checkpoint.resumable(folder):
                    with suppress(ParameterError):
                        return checkpoint.progress(path)[0]
        raise


def renew(folder: Path) -> None:
    """Give old files of a run at work a new time, as some file systems remove what has not been touched for some weeks."""
    for path in _found(folder):
        with suppress(OSError):  # it is somebody else's, or has just been removed
            if time.time() - path.stat().st_mtime > _OLD:
                os.utime(path)


def _of_archive(folder: Path) -> Parameters | None:
    """The parameters in the archive; None if there is none that can be read."""
    try:
        with for_reading(folder / archive.NAME) as file:
            return parse(text(file.attrs, "params"))
    except (OSError, KeyError, RuntimeError, ValueError):
        return None


def require_run(folder: Path) -> None:
    """Raises ParameterError unless the directory holds a run, in whatever state."""
    try:
        if not folder.exists():
            raise ParameterError(f"{folder}: no such directory")
        if not folder.is_dir():
            raise ParameterError(f"{folder}: is not a directory")
        next(folder.iterdir(), None)
        found = _found(folder)
    except OSError as error:
        raise ParameterError(f"{folder}: cannot be read: {error.strerror}") from None
    if not any(path.name == archive.NAME or path.name == PARAMETERS or path.suffix == ".h5" for path in found):
        raise ParameterError(f"{folder}: holds no run")


def is_finished(folder: Path, params: Parameters | None = None) -> bool:
    """Has the run left an archive that is as long as `params` (default: those in the directory) ask for?"""
    if not (folder / archive.NAME).exists():
        return False
    try:
        wanted = params or load(folder / PARAMETERS)
    except ParameterError:
        return True
    there = _of_archive(folder)
    return there is None or not trajectory.is_longer(wanted, there)


def has_archive(folder: Path, domain: Domain) -> bool:
    """Has the run been finished, perhaps with fewer origins? The same on all ranks. Collective."""
    return domain.on_root(lambda: (folder / archive.NAME).exists())


def tidy(folder: Path) -> None:
    """Remove what a finished run no longer needs: its checkpoints, also one that a kill left half written, and its journal."""
    for path in [*checkpoint.existing(folder), *folder.glob("checkpoint-*.h5.partial")]:
        path.unlink(missing_ok=True)
    journal.remove(folder)


def drop_archive(folder: Path, domain: Domain) -> None:
    """Remove the archive, as the run goes on from a checkpoint that knows its records. Collective."""
    with together(domain, folder):
        if domain.rank == 0:
            (folder / archive.NAME).unlink()
            sync(folder)
