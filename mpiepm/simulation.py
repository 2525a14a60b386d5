"""A run: its phases, its steps, and the loop, which fits on one screen."""

import json
import math
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mpiepm import assembly, guard
from mpiepm.core import alive, trajectory
from mpiepm.core.amounts import number_of
from mpiepm.core.limits import Limits
from mpiepm.core.schedule import LogSpaced, due
from mpiepm.engine.auto import AutoEngine
from mpiepm.engine.layout import advised_ranks
from mpiepm.engine.step import StepEngine
from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint, lock, parallel, rundir
from mpiepm.io.archive import Archive
from mpiepm.io.provenance import forget_memory, peak_memory, stretch
from mpiepm.models.parameters import Parameters, parse
from mpiepm.models.state import State
from mpiepm.observe import final
from mpiepm.observe.base import ENDING, EQUILIBRATION, Record
from mpiepm.observe.persistence import Persistence
from mpiepm.progress import Progress
from mpiepm.pulse import Pulse
from mpiepm.status import Status

EQUILIBRATION_STOPS = LogSpaced(0.1, 16)  # when the run asks whether it is over: not a matter of what is observed


@dataclass
class Phases:
    """Where the run stands: equilibrating (origin -1), after so many origins, or waiting for the last ones to end.

    Attributes
    ----------
    history : times and events at the stops of the equilibration, as long as it lasts
    duration : of an origin, sweeps, where the equilibration decides on it
    """

    origin: int = EQUILIBRATION
    begun: bool = False
    checkpoints: int = 0
    duration: float = 0.0
    history: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    def yield_time(self, sites: int) -> float:
        """1 / Gamma in the second half of the equilibration, by events, sweeps."""
        end, events = self.history[-1]
        since, half = next(stop for stop in self.history if 2 * stop[1] >= events)
        if since == end:
            since, half = 0.0, 0
        return (end - since) * sites / max(events - half, 1)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars for a checkpoint."""
        return asdict(self), {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        for name, value in scalars.items():
            setattr(self, name, value)
        self.history = [(time, events) for time, events in self.history]  # JSON knows no tuples


class Simulation:
    """One run on the ranks of `domain`: state, engine, observers. Construction is collective and touches no file."""

    def __init__(self, domain: Domain, params: Parameters) -> None:
        self.domain, self.params = domain, params
        self.state: State = params.model.start(params.run.seed, domain.first_row, domain.local_shape)
        self.engine = assembly.engine(domain, params, self.state)
        self.phases = Phases()
        if isinstance(self.engine, StepEngine):
            self.observers = assembly.stationary_observers(domain, params, self.engine)
        else:
            self.observers = assembly.observers(domain, params)
        self.persistence = next((o for o in self.observers if isinstance(o, Persistence)), None)

    @property
    def parts(self) -> dict[str, checkpoint.Saveable]:
        """Everything that a checkpoint holds, by name."""
        fixed: dict[str, checkpoint.Saveable] = {
            "state": self.state, "engine": self.engine, "phases": self.phases
        }
        if isinstance(self.engine, StepEngine) and self.engine.tracers:
            fixed["tracers"] = self.engine.tracers
        return fixed | {observer.name: observer for observer in self.observers}

    def constants(self) -> dict[str, np.ndarray]:
        """Coordinates and bin edges of all observers, by path in the archive."""
        return {name: values for observer in self.observers for name, values in observer.constants().items()}

    @property
    def engine_chosen(self) -> str:
        """Which engine the auto engine has chosen and why; empty as long as it has not."""
        return self.engine.reason if isinstance(self.engine, AutoEngine) else ""

    @property
    def finished(self) -> bool:
        """Have all origins been measured?"""
        return self.phases.origin == self.params.run.origins + self.params.run.overlap - 1

    @property
    def last_origin(self) -> bool:
        """Is the present phase that of the last origin?"""
        return self.phases.origin == self.params.run.origins - 1

    @property
    def origin(self) -> int:
        """The origin that the present phase began with, or EQUILIBRATION, or ENDING."""
        return self.phases.origin if self.phases.origin < self.params.run.origins else ENDING

    @property
    def spacing(self) -> float | None:
        """Sweeps from an origin to the next, unless it is a matter of P."""
        run = self.params.run
        if run.stop_persistence is not None:
            return None
        return (run.origin_duration or self.phases.duration) / run.overlap

    def next_stop(self) -> float:
        """The next time at which an observer looks or the phase may end: a boundary of the engine."""
        now = self.state.time
        times = [observer.schedule.after(now) for observer in self.observers]
        limit = self.spacing
        if self.phases.origin == EQUILIBRATION:
            times.append(EQUILIBRATION_STOPS.after(now))
            limit = self.params.run.equilibrate.time
        if limit is not None and limit > now:
            times.append(limit)
        return self.engine.boundary(min(times))

    def phase_is_over(self) -> bool:
        """Has the present phase reached its end? The answer changes only at stops, so it belongs to the trajectory."""
        run, state = self.params.run, self.state
        if not self.phases.begun:
            return False
        if self.phases.origin == EQUILIBRATION:
            if run.equilibrate.time is not None:
                return state.time >= self.engine.boundary(run.equilibrate.time)
            return self.phases.history[-1][1] >= (run.equilibrate.events_per_site or 0.0) * self.domain.sites
        if self.spacing is not None:
            return state.time >= self.engine.boundary(self.spacing)
        return self.persistence is not None and self.persistence.current < (run.stop_persistence or 0.0)

    def advance(self, until: float, over: Callable[[], bool] = lambda: False) -> bool:
        """Bring the state to `until`, a boundary of the engine; the observers receive the events.

        `over` is asked after every batch of events; if it says so the state stops short of `until`, and the answer is False.
        """
        state = self.state
        with closing(self.engine.advance(state, until)) as batches:
            for events in batches:
                for observer in self.observers:
                    observer.receive(events)
                alive.got_to(state.origin_time + state.time, state.events)
                if over() and state.time < until:
                    return False
        alive.got_to(state.origin_time + state.time, state.events)  # also where nothing happens between stops
        return True

    def change(self, alter: Callable[[State], None]) -> None:
        """Let `alter` change the fields of the state, between two steps: a shear is alter(s): s.stress += ... Collective.

        Every rank changes its own rows, in place; see `engine.base.Engine.change`.
        """
        self.engine.change(self.state, alter)

    def step(self, horizon: float, record: Record, over: Callable[[], bool] = lambda: False) -> None:
        """`to_stop`, and the phase may end there."""
        self.to_stop(horizon, record, over)
        if self.phase_is_over():
            self.end_phase(record)

    def to_stop(self, horizon: float, record: Record, over: Callable[[], bool] = lambda: False) -> None:
        """To the next stop, where the observers look; or to `horizon`, or until `over` says so."""
        state = self.state
        if not self.phases.begun:
            self.phases.begun = True
            for observer in self.observers:
                observer.begin_phase(state, self.origin, record)
        since, stop = state.time, self.next_stop()
        if self.engine.boundary(horizon) < stop:
            self.advance(self.engine.boundary(horizon), over)
            return
        if not self.advance(stop, over):
            return
        for observer in self.observers:
            for lag in due(observer.schedule, since, state.time):
                observer.sample(state, lag, record)
        if self.phases.origin == EQUILIBRATION and any(due(EQUILIBRATION_STOPS, since, state.time)):
            self.phases.history.append((state.time, state.events))

    def end_phase(self, record: Record) -> None:
        """Record the phase that is over; the next one begins with the next step."""
        state, phases = self.state, self.phases
        for observer in self.observers:
            observer.end_phase(state, record)
        if phases.origin == EQUILIBRATION:
            phases.duration = (self.params.run.origin_events_per_site or 0.0) * phases.yield_time(self.domain.sites)
            phases.history.clear()
        self.engine.begin_origin(state.time)
        state.begin_origin()
        phases.origin += 1
        phases.begun = False

    def rehearse(self) -> None:
        """Go through the motions of every compiled function, so that this process finds them all compiled."""
        ignore: Record = lambda name, value: None  # noqa: E731
        for origin in (EQUILIBRATION, 0):
            for observer in self.observers:
                observer.begin_phase(self.state, origin, ignore)
            self.advance(self.engine.boundary(1.0))
            self.change(lambda state: None)
            now = self.state.time
            for observer in self.observers:
                first = observer.schedule.after(0.0)  # as if it had come: some do nothing before
                self.state.time = max(now, first) if math.isfinite(first) else now
                observer.sample(self.state, self.state.time, ignore)
            self.state.time = now
            for observer in self.observers:
                observer.end_phase(self.state, ignore)
            self.engine.begin_origin(self.state.time)
            self.state.begin_origin()


def run(
    domain: Domain, params: Parameters, folder: Path, *,
    resume: bool, quiet: bool = False, limits: Limits | None = None, progress: Progress | None = None,
) -> bool:  # fmt: skip
    """Run in the directory `folder` to the end, from its newest sound checkpoint if `resume` finds one. Collective.

    Returns whether the end is reached; if `limits` came first, the present is in a checkpoint. What it does is told by
    `progress`, or by one that is `quiet` or not.

    The parameters must name no other run: model.activity_from is resolved before (`analysis.stationary.resolve_measured`).

    Raises
    ------
    ParameterError : on all ranks, if another process works in the directory, or if no checkpoint in it is sound
    SickRunError : on all ranks, if the numbers are no longer those of the model (`guard`, `engine.thinning`)
    WriteError : on all ranks, if a file cannot be written; the newest checkpoint stays valid
    """
    limits = limits or Limits()
    forget_memory()
    with ExitStack() as stack:
        held = stack.enter_context(lock.held(folder, domain.comm))
        if progress is None:
            progress = stack.enter_context(Progress(folder / rundir.LOG, active=domain.rank == 0, quiet=quiet))
        if fault := parallel.attempt(rundir.trial_file(folder), domain):
            progress.warn(f"parallel HDF5 does not work here, so rank 0 writes for all: {fault}")
        longer = resume and rundir.has_archive(folder, domain)
        newest, faults, lost = checkpoint.Sound(None, [], [])
        if resume:
            progress.phase("checking the checkpoints")
            if longer:
                newest = checkpoint.sound_state(folder, domain, params)
            else:
                newest, faults, lost = checkpoint.newest_sound(folder, domain, params)
        progress.phase("building the kernel's tables and the state")
        simulation = Simulation(domain, params)
        header = _restore(simulation, newest) if newest else {"history": [], "segments": []}
        history = header["history"]
        variables = [variable for observer in simulation.observers for variable in observer.variables]
        variables += final.variables(simulation.state)
        seals = [] if longer else ["" if k in lost else seal for k, seal in enumerate(header["segments"])]
        archive = Archive(folder, domain, variables, seals, params.units, [] if longer else header.get("records", []))
        if longer:
            progress.phase("reading the archive")
            _reopen(simulation, archive, folder, header, progress)
        history.append(stretch(domain.comm))
        shape, events = domain.shape, number_of(simulation.state.events, "event")
        progress.say(f"start: lattice {shape[0]} x {shape[1]}, {number_of(domain.size, 'rank')}, {events} so far")
        _advise(domain.size, params, progress)
        for fault in faults:
            progress.warn(f"{fault}; resumed from {newest}")
        if lost:
            progress.warn(f"the archive will lack the origins that were in {number_of(len(lost), 'segment')} of the journal")
        for difference in trajectory.differences(parse(header["params"]), params) if newest else ():
            progress.say(f"parameter changed since the checkpoint: {difference}")
        progress.follow(Status(simulation))
        pulse = Pulse(domain, limits)
        _end_phase(simulation, archive, folder, history, pulse)  # state.h5 is the end of one
        while not simulation.finished:
            pulse.begin()
            simulation.to_stop(math.inf, archive.record, pulse.over)
            _end_phase(simulation, archive, folder, history, pulse)
            reason = pulse.agree()
            if held:
                held.check()
            saving = not simulation.finished and (reason or pulse.unsaved >= 60 * params.output.checkpoint_minutes)
            if pulse.look or saving or simulation.finished:
                guard.check(simulation)
                pulse.looked()
            if simulation.engine_chosen and "engine" not in history[-1]:
                history[-1]["engine"] = simulation.engine_chosen
                progress.say(f"engine {simulation.engine_chosen}")
            if archive.full:
                archive.flush()
            if saving:
                history[-1] |= {"wall_time": pulse.wall_time, "memory": peak_memory(domain.comm)}
                _save(simulation, archive, folder, history, progress)
                pulse.saved()
                progress.say("checkpoint written")
                if reason:
                    progress.unfinished(reason, simulation.state.events)
                    return False
        history[-1] |= {"wall_time": pulse.wall_time, "memory": peak_memory(domain.comm)}
        progress.phase("writing the archive")
        _finish(simulation, archive, folder, history, progress)
        progress.say(f"finished: {number_of(simulation.state.events, 'event')} since the start, equilibration included")
        for warning in (line for observer in simulation.observers for line in observer.warnings(params.units.time)):
            progress.warn(warning)
    return True


def _advise(ranks: int, params: Parameters, progress: Progress) -> None:
    """Tell the recommended number of ranks, on the standard error too if there are more."""
    most = advised_ranks(params)
    given = f"lattice.size = {list(params.lattice.size)}, engine.name = {params.engine.name!r}"
    if ranks > most:
        progress.note(f"ranks: {ranks}, of which at most {most} are recommended for {given}: more are likely to be slower")
    else:
        progress.say(f"ranks: {ranks}, at most {most} are recommended for {given}")


def _save(
    simulation: Simulation, archive: Archive, folder: Path, history: list[dict[str, Any]], progress: Progress
) -> None:
    _tell_lost(archive, progress)
    archive.flush()
    simulation.phases.checkpoints += 1
    constants = {name: values.tolist() for name, values in simulation.constants().items()}  # to read the journal with
    text = simulation.params.to_toml()
    header = {
        "history": history, "segments": archive.segments, "records": archive.counts, "params": text, "constants": constants,
    }  # fmt: skip
    checkpoint.write(folder, simulation.domain, simulation.phases.checkpoints, simulation.parts, header)
    if simulation.domain.rank == 0:
        rundir.renew(folder)


def _tell_lost(archive: Archive, progress: Progress) -> None:
    for path in archive.find_lost():
        progress.warn(f"{path}: is gone; the archive will lack the origins that were in it")


def _end_phase(simulation: Simulation, archive: Archive, folder: Path, history: list[dict[str, Any]], pulse: Pulse) -> None:
    """End the phase if it is over; at the end of the last origin keep the state, for a longer run."""
    if not simulation.phase_is_over():
        return
    if simulation.last_origin and simulation.params.output.keep_state:
        guard.check(simulation)
        history[-1] |= {"wall_time": pulse.wall_time, "memory": peak_memory(simulation.domain.comm)}
        ends = simulation.params.run.overlap == 1  # then the archive is written at once, and needs no journal
        archive.find_lost()
        if not ends:
            archive.flush()
        header = {
            "history": history, "segments": None if ends else archive.segments, "params": simulation.params.to_toml(),
            "lengths": archive.lengths(), "records": archive.counts,
        }  # fmt: skip
        checkpoint.write_file(folder / checkpoint.STATE, simulation.domain, simulation.parts, header)
    simulation.end_phase(archive.record)


def _reopen(simulation: Simulation, archive: Archive, folder: Path, header: dict[str, Any], progress: Progress) -> None:
    """Make a finished run an unfinished one: its archive becomes a journal and a checkpoint, and only then is removed."""
    _tidy(simulation.domain, folder)
    archive.take_over(header["lengths"])
    _save(simulation, archive, folder, header["history"], progress)
    rundir.drop_archive(folder, simulation.domain)


def _restore(simulation: Simulation, newest: Path) -> dict[str, Any]:
    """Bring the simulation to a sound checkpoint; its header. Observers that the run did not have begin with the next phase."""
    header = checkpoint.read_header(newest)
    parts = simulation.parts
    equilibrating = checkpoint.read_parts(newest)["phases"]["origin"] == EQUILIBRATION
    if equilibrating and parse(header["params"]).output != simulation.params.output:
        idle = {observer.name for observer in simulation.observers if not observer.watches_equilibration}
        parts = {name: part for name, part in parts.items() if name not in idle}
    checkpoint.restore(newest, simulation.domain, parts)
    return header


def _finish(
    simulation: Simulation, archive: Archive, folder: Path, history: list[dict[str, Any]], progress: Progress
) -> None:
    """Complete the archive; only then the checkpoints are no longer needed."""
    attributes = {
        "mpiepm_version": history[-1]["mpiepm"],
        "status": "finished",
        "events": simulation.state.events,
        "params": simulation.params.to_toml(),
        "provenance": json.dumps(history, indent=1),
    }
    final.record_final(simulation.state, archive.record)
    _tell_lost(archive, progress)
    if lost := archive.finish(simulation.constants(), attributes):
        progress.warn(f"lost: {lost}")
    _tidy(simulation.domain, folder)
    if simulation.domain.rank == 0 and not simulation.params.output.keep_state:
        (folder / checkpoint.STATE).unlink(missing_ok=True)  # of a shorter run


def _tidy(domain: Domain, folder: Path) -> None:
    if domain.rank == 0:
        rundir.tidy(folder)
    domain.comm.Barrier()
