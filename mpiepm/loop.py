"""The loop of a run in its directory.

lock the directory; find the newest sound checkpoint, if the run is to be resumed
until all origins are measured:
advance to the next stop, where the observers look; a step ends after about a second
do each task that follows a step: look at all sites, write what has been recorded, save a checkpoint
write the archive
"""

from contextlib import ExitStack
from pathlib import Path

from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint, lock, parallel, rundir
from mpiepm.io.provenance import forget_memory
from mpiepm.models.parameters import Parameters
from mpiepm.recorded import RecordedRun
from mpiepm.runtime.limits import Limits
from mpiepm.runtime.progress import Progress


def run(
    domain: Domain, params: Parameters, folder: Path, *,
    resume: bool, quiet: bool = False, limits: Limits | None = None, progress: Progress | None = None,
) -> bool:  # fmt: skip
    """Run in the directory `folder` to the end, from its newest sound checkpoint if `resume` finds one. Collective.

    Returns whether the end is reached; if `limits` came first, the present is in a checkpoint. What it does is told by
    `progress`, or by one that is `quiet` or not.

    The parameters must name no other run: keys like model.activity_from are resolved before (`analysis.stationary`).

    Raises
    ------
    ParameterError : on all ranks, if another process works in the directory, or if no checkpoint in it is sound
    SickRunError : on all ranks, if the numbers are no longer those of the model (`runtime.guard`, `engine.thinning`)
    WriteError : on all ranks, if a file cannot be written; the newest checkpoint stays valid
    """
    forget_memory()
    with ExitStack() as stack:
        held = stack.enter_context(lock.held(folder, domain))
        if progress is None:
            progress = stack.enter_context(Progress(folder / rundir.LOG, active=domain.rank == 0, quiet=quiet))
        if fault := parallel.attempt(rundir.trial_file(folder), domain):
            progress.warn(f"parallel HDF5 does not work here, so rank 0 writes for all: {fault}")
        longer = resume and rundir.has_archive(folder, domain)
        found = checkpoint.Sound(None, [], [])
        if resume:
            progress.phase("checking the checkpoints")
            find = checkpoint.sound_state if longer else checkpoint.newest_sound
            found = find(folder, domain, params)
        recorded = RecordedRun(domain, params, folder, found, limits or Limits(), progress, longer=longer)
        while not recorded.simulation.finished:
            moment = recorded.step()
            if held:
                held.check()
            for task in recorded.tasks:
                task(moment)
            if moment.save and moment.reason:
                progress.unfinished(moment.reason, recorded.simulation.state.events)
                return False
        recorded.finish()
    return True
