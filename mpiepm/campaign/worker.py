"""A process that performs runs one after the other, told which through a pipe; everything is compiled once in each."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from mpiepm.campaign import failures
from mpiepm.core.exits import BAD_INPUT, FAILED, FINISHED, UNFINISHED
from mpiepm.core.faults import ParameterError
from mpiepm.io import lock, rundir
from mpiepm.models.parameters import parse

_started: list[subprocess.Popen[str]] = []  # the mpirun of this process
_at_once = threading.Event()                # these are not to write a checkpoint first
_environment: dict[str, str] = {}            # for mpirun: without what the MPI library has put there for this process
# Open MPI 4 and 5: several at a time must not bind to the same cores; more ranks than cores are slow but possible. Open MPI 4
# kills its ranks so many seconds after a SIGTERM; 5 after a quarter of a second, whatever one sets.
_MPIRUN = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_odls_base_sigkill_timeout": "10",
}
_REQUESTS = {signal.SIGUSR1, signal.SIGUSR2}  # to end with a checkpoint; to end at once
_TOLD_TOO_EARLY = (-signal.SIGUSR1, 128 + signal.SIGUSR1)  # mpirun, or its ranks, while they did not listen yet


@dataclass(frozen=True)
class Outcome:
    """How a run ended: an exit code of `core.exits`, and why if it did not finish."""

    code: int
    why: str
    seconds: float


class Worker:
    """The process, as seen by the one that started it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other, dict(os.environ)))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)  # which it inherits, and undoes when it listens
        self.process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        other.close()

    def compile(self, texts: list[str]) -> None:
        """Let it compile what runs with these parameters need; it answers with an Outcome."""
        self.connection.send(("compile", texts, 1))

    def perform(self, folder: Path, text: str, ranks: int) -> None:
        """Let it perform a run; it answers with an Outcome."""
        self.connection.send((folder, text, ranks))

    def outcome(self) -> Outcome:
        """Its answer, or what became of it."""
        try:
            answer: Outcome = self.connection.recv()
            return answer
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode or 0
            why = f"killed by {signal.Signals(-code).name}" if code < 0 else f"worker ended with code {code}"
            return Outcome(FAILED, why, 0.0)

    def ask_to_stop(self, *, at_once: bool = False) -> None:
        """A signal after which a run writes a checkpoint and ends, or, under mpirun and `at_once`, is killed.

        A run that has just begun may miss it.
        """
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, signal.SIGUSR2 if at_once else signal.SIGUSR1)

    def end(self) -> None:
        """When it waits for work."""
        self.connection.close()
        self.process.join()


def _serve(connection: Connection, environment: dict[str, str]) -> None:
    """Work until the pipe is closed."""
    _environment.update({**_MPIRUN, **environment})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started us decides
    for request in (*_REQUESTS, signal.SIGTERM):
        signal.signal(request, _pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _REQUESTS)
    _end_with_parent()
    try:
        while True:
            what, text, ranks = connection.recv()
            began = time.monotonic()
            code, why = _compile(text) if what == "compile" else _perform(what, text, ranks)
            connection.send(Outcome(code, why, time.monotonic() - began))
    except (EOFError, ConnectionError):  # nobody asks, or waits for the answer, any more
        return


def _pass_on(number: int, frame: object) -> None:
    """To mpirun; a run without it listens itself."""
    if number == signal.SIGUSR2:
        _at_once.set()
    for child in _started:
        child.send_signal(signal.SIGTERM if number == signal.SIGUSR2 else signal.SIGUSR1)


def _end_with_parent() -> None:
    """Let this process and its run end when the one that started it is gone, for then another may come to resume the run."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        _pass_on(signal.SIGUSR1, None)
        os._exit(FAILED)

    threading.Thread(target=wait, daemon=True).start()


def _compile(texts: list[str]) -> tuple[int, str]:
    from mpiepm.warmup import rehearse_all

    before = signal.signal(signal.SIGUSR2, signal.SIG_DFL)  # which ends it
    try:
        rehearse_all(map(parse, texts))
    except Exception as error:
        return FAILED, f"{type(error).__name__}: {error}"
    finally:
        signal.signal(signal.SIGUSR2, before)
    return FINISHED, ""


def _perform(folder: Path, text: str, ranks: int) -> tuple[int, str]:
    """One run, unless another process has meanwhile done it or works at it; a failure is kept beside it."""
    if rundir.is_finished(folder, parse(text)):
        return FINISHED, ""
    if holder := lock.holder(folder):
        return UNFINISHED, f"in use by {holder}"
    failures.forget(folder)
    try:
        code, why, details = _alone(folder, text) if ranks == 1 else _together(folder, text, ranks)
    except ParameterError as error:
        code, why, details = BAD_INPUT, str(error), ""
    except Exception as error:
        code, why, details = FAILED, f"{type(error).__name__}: {error}", traceback.format_exc()
    if code in (FINISHED, UNFINISHED):
        return code, why
    if _at_once.is_set():  # mpirun has killed it
        return UNFINISHED, ""
    failures.record(folder, why, details)
    return code, why


def _alone(folder: Path, text: str) -> tuple[int, str, str]:
    from mpiepm import start
    from mpiepm.grid.domain import ALONE
    from mpiepm.grid.memory import available
    from mpiepm.io import memory
    from mpiepm.runtime import watchdog
    from mpiepm.runtime.limits import Limits

    limits = Limits()
    memory.check(parse(text), available(ALONE))
    with limits.listening(), rundir.occupied(folder):
        params, resume = rundir.prepare(folder, parse(text), resume=True, overwrite=False)
        job = start.Job(params.to_toml(), folder, resume, watchdog.limit())
        done = start.perform(job, ALONE, limits, quiet=True)
    return FINISHED if done else UNFINISHED, "", ""


def _together(folder: Path, text: str, ranks: int) -> tuple[int, str, str]:
    """Under mpirun, from the parameters that lie in the directory."""
    rundir.plant(folder, parse(text))
    command = ["mpirun", "-n", str(ranks), sys.executable, "-m", "mpiepm", "run", "--out", str(folder), "--resume", "--quiet"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment, start_new_session=True
    ) as child:  # the terminal's signals are not for it
        _started.append(child)
        errors = child.communicate()[0]
        _started.remove(child)
    code = UNFINISHED if child.returncode in _TOLD_TOO_EARLY else child.returncode
    why = "" if code in (FINISHED, UNFINISHED) else f"exit code {code}"
    return code, why, errors
