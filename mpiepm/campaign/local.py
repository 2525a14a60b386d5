"""Work through points on this machine: as many at a time as it has cores, the longest first.

Runs of one rank share a few worker processes, in which everything is compiled once; those of more are started by mpirun. A
worker that dies takes only its own run with it.
"""

import platform
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from types import FrameType
from typing import NamedTuple

from mpiepm.campaign import failures
from mpiepm.campaign.grid import Point
from mpiepm.campaign.worker import Outcome, Worker
from mpiepm.core.exits import FAILED, UNFINISHED
from mpiepm.core.faults import ParameterError
from mpiepm.grid.memory import Node, of_a_process, of_the_node
from mpiepm.io import memory

LOOK = 0.5  # seconds between looks at signals, and chances to renew a display


class News(NamedTuple):
    """What has just happened: `started`, or an outcome; or neither, and some time has passed."""

    point: Point | None = None
    outcome: Outcome | None = None


class Stop:
    """Set by SIGINT or SIGTERM: no run is begun any more, and those that go on write a checkpoint and end.

    Attributes
    ----------
    asked : one has come;  at_once : and after it another SIGINT: nothing is waited for
    """

    def __init__(self) -> None:
        self.asked = self.at_once = False
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.at_once = self.at_once or (self.asked and number == signal.SIGINT)
        self.asked = True

    def restore(self) -> None:
        """Signals mean again what they meant before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def work(points: Sequence[Point], cores: int) -> Iterator[News]:
    """Perform the points in this order, and tell what happens; interrupted, end as soon as all have a checkpoint."""
    stop, todo = Stop(), list(points)
    busy: dict[Worker, Point] = {}
    idle: list[Worker] = []
    try:
        idle.append(_prepared(todo, stop))
        while (todo and not stop.asked) or busy:
            while todo and not stop.asked and _ranks(todo[0], cores) <= cores - sum(_ranks(p, cores) for p in busy.values()):
                point = todo.pop(0)
                worker = idle.pop() if idle else Worker()
                worker.perform(point.folder, point.params.to_toml(), point.resources.ranks)
                busy[worker] = point
                yield News(point)
            if stop.asked:  # again and again: a run that has just begun may miss it
                for worker in busy:
                    worker.ask_to_stop(at_once=stop.at_once)
            ready = wait([worker.connection for worker in busy], LOOK)
            for worker in [worker for worker in busy if worker.connection in ready]:
                point, outcome = busy.pop(worker), worker.outcome()
                if worker.process.is_alive():
                    idle.append(worker)
                elif stop.asked:
                    outcome = replace(outcome, code=UNFINISHED, why="")
                elif outcome.code == FAILED:
                    failures.record(point.folder, outcome.why)
                yield News(point, outcome)
            yield News()
    finally:
        for worker in idle:
            worker.end()
        for worker in busy:  # only if something went wrong here
            worker.connection.close()
            worker.process.terminate()
        stop.restore()


def misfits(points: Sequence[Point]) -> list[str]:
    """What does not fit into the memory of this machine, or may not: a line for each kind of run."""
    found: dict[str, None] = {}
    for point in points:
        ranks = point.resources.ranks
        here = Node(platform.node(), tuple(range(ranks)), min(of_the_node()), of_a_process())
        try:
            told = memory.check(point.params, [here])
        except ParameterError as error:
            told = str(error)
        if told:
            found[told] = None
    return list(found)


def _ranks(point: Point, cores: int) -> int:
    """Cores that a point occupies: more ranks than cores are slow, but possible."""
    return min(point.resources.ranks, cores)


def _prepared(points: Sequence[Point], stop: Stop) -> Worker:
    """A worker that has compiled what these points need, for all: they find it in the cache."""
    worker = Worker()
    worker.compile([point.params.to_toml() for point in points])
    while not wait([worker.connection], LOOK):
        if stop.asked:  # what has been compiled is kept
            worker.ask_to_stop(at_once=True)
    worker.outcome()  # what cannot be compiled fails again, in the run it belongs to
    return worker if worker.process.is_alive() else Worker()
