"""What ``mpiepm campaign`` does: plan, run, submit, status, resume, collect, report."""

import argparse
from collections.abc import Sequence
from functools import cache

from mpiepm.campaign import grid, local, machine, queue, status, submit, tables
from mpiepm.campaign.cost import Cost, predict
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.site import Site
from mpiepm.campaign.speed import Machine
from mpiepm.campaign.status import State, Status
from mpiepm.core.amounts import number_of
from mpiepm.core.exits import FAILED, FINISHED, UNFINISHED
from mpiepm.core.faults import ParameterError, RunError
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters

_UNDER_WAY: tuple[State, ...] = ("finished", "running", "queued")


def main(arguments: argparse.Namespace) -> int:
    """Do it; an exit code.

    Raises
    ------
    ParameterError : if the campaign file or the site profile is wrong
    """
    campaign = grid.read(arguments.file, arguments.out, arguments.site)
    if getattr(arguments, "cores", None) is not None and arguments.cores < 1:
        raise ParameterError(f"--cores {arguments.cores}: must be at least 1")
    actions = {"plan": _plan, "run": _run, "submit": _submit, "status": _status, "resume": _resume, "collect": _collect,
               "report": _report}  # fmt: skip
    return actions[arguments.action](campaign, arguments)


def costs(campaign: Campaign, on: Machine) -> dict[str, Cost]:
    """Predicted cost of every point, by name; seeds cost the same."""

    @cache
    def of(params: Parameters, ranks: int) -> Cost:
        return predict(params, ranks, on)

    return {point.name: of(_any_seed(point.params), point.resources.ranks) for point in campaign.points}


def _any_seed(params: Parameters) -> Parameters:
    return params.model_copy(update={"run": params.run.model_copy(update={"seed": 0})})


def _machine(of: Site) -> Machine:
    return of.machine or machine.known()


def _plan(campaign: Campaign, arguments: argparse.Namespace) -> int:
    on = machine.measure() if arguments.measure else _machine(campaign.site)
    predicted, statuses = costs(campaign, on), _survey(campaign)
    print(tables.plan(campaign, predicted, statuses))
    todo = [point for point in campaign.points if statuses[point.name].state != "finished" and not point.conflict]
    wanted = submit.batches(campaign, todo, predicted, campaign.site, campaign.site.array_limit or 1000)
    print(f"\n{_summary(campaign, statuses)}")
    print(tables.demand(campaign, todo, predicted, wanted))
    print(f"prediction: {on.name}" + " (--measure measures this machine)" * (not on.factors))
    if not campaign.site.memory_per_node:  # else `submit.batches` has compared
        for told in local.misfits(todo):
            print(f"warning: on this machine: {told}")
    return FINISHED


def _survey(campaign: Campaign) -> dict[str, Status]:
    """Status of all points, as far as it can be known."""
    try:
        jobs = queue.jobs(campaign)
    except queue.NoAnswerError as error:
        print(f"{error}; what was submitted may be queued or running")
        jobs = queue.submitted(campaign)
    return status.survey(campaign, jobs)


def _summary(campaign: Campaign, statuses: dict[str, Status]) -> str:
    told = f"{number_of(len(campaign.points), 'run')} in {campaign.out}: {status.count(statuses.values())}"
    if campaign.strays:
        told += f"\n{number_of(len(campaign.strays), 'other run')} there that the file does not name, as {campaign.strays[0]}"
    return told


def _run(campaign: Campaign, arguments: argparse.Namespace) -> int:
    return _work(campaign, _todo(campaign, failed=False), arguments.cores)


def _todo(campaign: Campaign, *, failed: bool) -> list[Point]:
    """What is neither finished nor under way; what has failed only if that is wanted.

    Raises
    ------
    ParameterError : if Slurm does not say what is under way
    """
    statuses = status.survey(campaign, queue.jobs(campaign))
    for point in campaign.points:
        if statuses[point.name].state == "finished":
            rundir.tidy(point.folder)  # it may have been killed between its archive and this
    skipped = _UNDER_WAY if failed else (*_UNDER_WAY, "failed")
    return [point for point in campaign.points if statuses[point.name].state not in skipped and not point.conflict]


def _work(campaign: Campaign, todo: list[Point], cores: int) -> int:
    from mpiepm.campaign.display import show

    print(f"{number_of(len(campaign.points), 'run')}, {len(todo)} to do", flush=True)
    if todo:
        show(todo, costs(campaign, machine.known()), cores)
    statuses = {point.name: status.of(point) for point in campaign.points}
    for name, there in statuses.items():
        if there.state == "failed":
            print(f"failed: {name}: {there.why}")
    states = {there.state for there in statuses.values()}
    if "failed" in states:
        return FAILED
    return FINISHED if states <= {"finished"} else UNFINISHED


def _submit(campaign: Campaign, arguments: argparse.Namespace) -> int:
    with queue.alone(campaign):
        return _hand_in(campaign, _todo(campaign, failed=False))


def _hand_in(campaign: Campaign, todo: Sequence[Point]) -> int:
    """Submit these points, and what collects the results of those that Slurm has accepted.

    Raises
    ------
    ParameterError : if it has accepted none
    RunError : if only some
    """
    print(f"{number_of(len(campaign.points), 'run')}, {len(todo)} to submit", flush=True)
    if not todo:
        return FINISHED
    predicted = costs(campaign, _machine(campaign.site))
    wanted = submit.batches(campaign, todo, predicted, campaign.site, submit.array_limit(campaign.site))
    identities: list[str] = []
    faults: list[ParameterError] = []
    try:
        for batch, identity in submit.submit(campaign, wanted):
            print(f"job {identity}: {tables.request(batch)}", flush=True)
            identities.append(identity)
    except ParameterError as error:
        faults.append(error)
    if identities:
        try:
            identity = submit.finish(campaign, identities, max(batch.request.walltime for batch in wanted))
            print(f"job {identity}: collects the results when these have ended", flush=True)
        except ParameterError as error:
            faults.append(error)
    if faults:
        raise RunError("\n".join(map(str, faults))) if identities else faults[0]
    return FINISHED


def _resume(campaign: Campaign, arguments: argparse.Namespace) -> int:
    if not queue.lists(campaign):
        return _work(campaign, _todo(campaign, failed=True), arguments.cores)
    with queue.alone(campaign):
        return _hand_in(campaign, _todo(campaign, failed=True))


def _status(campaign: Campaign, arguments: argparse.Namespace) -> int:
    statuses = _survey(campaign)
    rows = [[name, there.state, there.why] for name, there in statuses.items() if arguments.all or there.state != "finished"]
    if rows:
        print(tables.table(("run", "state", ""), rows, "<<<"))
    print(_summary(campaign, statuses))
    return FINISHED


def _collect(campaign: Campaign, arguments: argparse.Namespace) -> int:
    from mpiepm.campaign.collect import collect

    for line in collect(campaign, costs(campaign, _machine(campaign.site)), _survey(campaign)):
        print(line)
    return FINISHED


def _report(campaign: Campaign, arguments: argparse.Namespace) -> int:
    from mpiepm.campaign import report

    page = campaign.out / report.PAGE
    data = report.write(campaign, costs(campaign, _machine(campaign.site)), _survey(campaign), page)
    print(f"{page}, {data.name}")
    return FINISHED
