"""A simulation with its directory: archive, checkpoints, log and provenance."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mpiepm.core import trajectory
from mpiepm.core.amounts import number_of
from mpiepm.engine.layout import advised_ranks
from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint, rundir
from mpiepm.io.archive import Archive
from mpiepm.io.provenance import peak_memory, stretch
from mpiepm.models.parameters import Parameters, parse
from mpiepm.observe import final
from mpiepm.observe.base import EQUILIBRATION
from mpiepm.runtime import guard
from mpiepm.runtime.limits import Limits
from mpiepm.runtime.progress import Progress
from mpiepm.runtime.status import Status
from mpiepm.runtime.wall_clock import WallClock
from mpiepm.simulation import Simulation


class Moment(NamedTuple):
    """After a step, the same on all ranks.

    Attributes
    ----------
    reason : why the run must end now, "" if it need not
    save : is a checkpoint to be written?
    look : is it time to look at all sites?
    """

    reason: str
    save: bool
    look: bool


class RecordedRun:
    """A run in the directory `folder`, from the beginning or from the checkpoint that was found. Construction is collective.

    longer : the run has been finished and is to go on: its archive is opened again
    """

    def __init__(
        self, domain: Domain, params: Parameters, folder: Path, found: checkpoint.Sound, limits: Limits, progress: Progress, *,
        longer: bool,
    ) -> None:  # fmt: skip
        self.folder, self.params, self.progress = folder, params, progress
        progress.phase("building the kernel's tables and the state")
        self.simulation = simulation = Simulation(domain, params)
        header = _restore(simulation, found.path) if found.path else {"history": [], "segments": []}
        self.history: list[dict[str, Any]] = header["history"]
        variables = [variable for observer in simulation.observers for variable in observer.variables]
        variables += final.variables(simulation.state)
        segments = [] if longer else ["" if k in found.lost else seal for k, seal in enumerate(header["segments"])]
        counts = [] if longer else header.get("records", [])
        self.archive = Archive(folder, domain, variables, segments, params.units, counts)
        if longer:
            progress.phase("reading the archive")
            self._reopen(header)
        self.history.append(stretch(domain))
        self._tell_start(found, header)
        progress.follow(Status(simulation))
        self.clock = WallClock(domain, limits)
        self.end_phase()  # state.h5 is the end of one

    @property
    def tasks(self) -> list[Callable[[Moment], None]]:
        """What is done after each step, in this order."""
        return [self._look, self._note_engine, self._flush, self._save]

    def step(self) -> Moment:
        """To the next stop, or as far as a second goes; the phase may end there. Collective."""
        simulation, clock = self.simulation, self.clock
        clock.begin()
        simulation.to_stop(float("inf"), self.archive.record, clock.over)
        self.end_phase()
        reason = clock.agree()
        due = clock.unsaved >= 60 * self.params.output.checkpoint_minutes
        save = not simulation.finished and (bool(reason) or due)
        return Moment(reason, save, clock.look or save or simulation.finished)

    def end_phase(self) -> None:
        """End the phase if it is over; at the end of the last origin keep the state, for a longer run."""
        simulation, archive = self.simulation, self.archive
        if not simulation.phase_is_over():
            return
        if simulation.last_origin and self.params.output.keep_state:
            guard.check(simulation)
            self._account()
            ends = self.params.run.overlap == 1  # then the archive is written at once, and needs no journal
            archive.find_lost()
            if not ends:
                archive.flush()
            header = {
                "history": self.history, "segments": None if ends else archive.segments, "params": self.params.to_toml(),
                "lengths": archive.lengths(), "records": archive.counts,
            }  # fmt: skip
            checkpoint.write_file(self.folder / checkpoint.STATE, simulation.domain, simulation.parts, header)
        simulation.end_phase(archive.record)

    def finish(self) -> None:
        """Complete the archive; only then the checkpoints are no longer needed. Collective."""
        simulation, progress = self.simulation, self.progress
        self._account()
        progress.phase("writing the archive")
        attributes = {
            "mpiepm_version": self.history[-1]["mpiepm"],
            "status": "finished",
            "events": simulation.state.events,
            "params": self.params.to_toml(),
            "provenance": json.dumps(self.history, indent=1),
        }
        final.record_final(simulation.state, self.archive.record)
        self._tell_lost()
        if lost := self.archive.finish(simulation.constants(), attributes):
            progress.warn(f"lost: {lost}")
        _tidy(self.folder, simulation.domain)
        if simulation.domain.rank == 0 and not self.params.output.keep_state:
            (self.folder / checkpoint.STATE).unlink(missing_ok=True)  # of a shorter run
        progress.say(f"finished: {number_of(simulation.state.events, 'event')} since the start, equilibration included")
        for observer in simulation.observers:
            for warning in observer.warnings(self.params.units.time):
                progress.warn(warning)

    def _look(self, moment: Moment) -> None:
        if moment.look:
            guard.check(self.simulation)
            self.clock.looked()

    def _note_engine(self, moment: Moment) -> None:
        if (chosen := self.simulation.engine_chosen) and "engine" not in self.history[-1]:
            self.history[-1]["engine"] = chosen
            self.progress.say(f"engine {chosen}")

    def _flush(self, moment: Moment) -> None:
        if self.archive.full:
            self.archive.flush()

    def _save(self, moment: Moment) -> None:
        if moment.save:
            self._account()
            self._checkpoint()
            self.clock.saved()
            self.progress.say("checkpoint written")

    def _checkpoint(self) -> None:
        simulation, archive = self.simulation, self.archive
        self._tell_lost()
        archive.flush()
        simulation.phases.checkpoints += 1
        constants = {name: values.tolist() for name, values in simulation.constants().items()}  # to read the journal with
        header = {
            "history": self.history, "segments": archive.segments, "records": archive.counts,
            "params": self.params.to_toml(), "constants": constants,
        }  # fmt: skip
        checkpoint.write(self.folder, simulation.domain, simulation.phases.checkpoints, simulation.parts, header)
        if simulation.domain.rank == 0:
            rundir.renew(self.folder)

    def _reopen(self, header: dict[str, Any]) -> None:
        """Make a finished run an unfinished one: its archive becomes journal and checkpoint, and only then is removed."""
        _tidy(self.folder, self.simulation.domain)
        self.archive.take_over(header["lengths"])
        self._checkpoint()
        rundir.drop_archive(self.folder, self.simulation.domain)

    def _account(self) -> None:
        """Bring the costs of this stretch of the run up to date."""
        self.history[-1] |= {"wall_time": self.clock.wall_time, "memory": peak_memory(self.simulation.domain)}

    def _tell_lost(self) -> None:
        for path in self.archive.find_lost():
            self.progress.warn(f"{path}: is gone; the archive will lack the origins that were in it")

    def _tell_start(self, found: checkpoint.Sound, header: dict[str, Any]) -> None:
        """Size, ranks and their recommended number, and what was found on resuming."""
        progress, params, domain = self.progress, self.params, self.simulation.domain
        events = number_of(self.simulation.state.events, "event")
        progress.say(f"start: lattice {domain.shape[0]} x {domain.shape[1]}, {number_of(domain.size, 'rank')}, {events} so far")
        most = advised_ranks(params)
        given = f"lattice.size = {list(params.lattice.size)}, engine.name = {params.engine.name!r}"
        if domain.size > most:
            more = "more are likely to be slower"
            progress.note(f"ranks: {domain.size}, of which at most {most} are recommended for {given}: {more}")
        else:
            progress.say(f"ranks: {domain.size}, at most {most} are recommended for {given}")
        for fault in found.faults:
            progress.warn(f"{fault}; resumed from {found.path}")
        if found.lost:
            segments = number_of(len(found.lost), "segment")
            progress.warn(f"the archive will lack the origins that were in {segments} of the journal")
        for difference in trajectory.differences(parse(header["params"]), params) if found.path else ():
            progress.say(f"parameter changed since the checkpoint: {difference}")


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


def _tidy(folder: Path, domain: Domain) -> None:
    """Remove what a finished run no longer needs. Collective."""
    if domain.rank == 0:
        rundir.tidy(folder)
    domain.barrier()
