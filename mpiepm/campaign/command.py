"""``mpiepm campaign plan | run | status FILE``."""

import argparse
from functools import cache

from mpiepm.campaign import grid, machine, status, tables
from mpiepm.campaign.cost import Cost, predict
from mpiepm.campaign.grid import Campaign
from mpiepm.campaign.speed import Machine
from mpiepm.core.exits import FAILED, FINISHED, UNFINISHED
from mpiepm.core.params import AnyParameters, ParameterError
from mpiepm.io import rundir


def main(arguments: argparse.Namespace) -> int:
    """Do it; an exit code.

    Raises
    ------
    ParameterError : if the campaign file is wrong
    """
    campaign = grid.read(arguments.file, arguments.out)
    actions = {"plan": _plan, "run": _run, "status": _status}
    return actions[arguments.action](campaign, arguments)


def costs(campaign: Campaign, on: Machine) -> dict[str, Cost]:
    """Predicted cost of every point, by name; seeds cost the same."""

    @cache
    def of(params: AnyParameters, ranks: int) -> Cost:
        return predict(params, ranks, on)

    return {point.name: of(_any_seed(point.params), point.resources.ranks) for point in campaign.points}


def _any_seed(params: AnyParameters) -> AnyParameters:
    return params.model_copy(update={"run": params.run.model_copy(update={"seed": 0})})


def _plan(campaign: Campaign, arguments: argparse.Namespace) -> int:
    on = machine.measure() if arguments.measure else machine.known()
    predicted, statuses = costs(campaign, on), status.survey(campaign)
    print(tables.plan(campaign, predicted, statuses))
    todo = [point for point in campaign.points if statuses[point.name].state != "finished"]
    hours = sum(predicted[point.name].core_hours for point in todo)
    disk = sum(predicted[p.name].archive for p in campaign.points)
    print(f"\n{len(campaign.points)} runs in {campaign.out}: {status.count(statuses.values())}")
    print(f"to do: {len(todo)} runs, {hours:.3g} core-hours; all archives together {tables.size(disk)}")
    print(f"prediction: {on.name}" + " (--measure measures this machine)" * (not on.factors))
    _tell_strays(campaign)
    return FINISHED


def _tell_strays(campaign: Campaign) -> None:
    if campaign.strays:
        print(f"{len(campaign.strays)} other runs there that the file does not name, as {campaign.strays[0]}")


def _run(campaign: Campaign, arguments: argparse.Namespace) -> int:
    if arguments.cores < 1:
        raise ParameterError(f"--cores {arguments.cores}: must be at least 1")
    statuses, predicted = status.survey(campaign), costs(campaign, machine.known())
    for point in campaign.points:
        if statuses[point.name].state == "finished":
            rundir.tidy(point.folder)  # it may have been killed between its archive and this
    skipped = {"finished", "running", "queued"} if arguments.retry else {"finished", "running", "queued", "failed"}
    todo = [point for point in campaign.points if statuses[point.name].state not in skipped]
    print(f"{len(campaign.points)} runs, {len(todo)} to do", flush=True)
    todo.sort(key=lambda point: -predicted[point.name].seconds)
    from mpiepm.campaign.display import show

    failed, left = show(campaign, todo, predicted, arguments.cores) if todo else ([], 0)
    failed += [point.name for point in campaign.points if statuses[point.name].state == "failed" and not arguments.retry]
    for name in failed:
        point = next(p for p in campaign.points if p.name == name)
        print(f"failed: {name}: {status.of(point).why}")
    if failed:
        return FAILED
    return UNFINISHED if left else FINISHED


def _status(campaign: Campaign, arguments: argparse.Namespace) -> int:
    statuses = status.survey(campaign)
    rows = [
        [name, there.state, there.why] for name, there in statuses.items() if arguments.all or there.state != "finished"
    ]
    if rows:
        print("\n".join("  ".join(row).rstrip() for row in rows))
    print(f"{len(campaign.points)} runs in {campaign.out}: {status.count(statuses.values())}")
    _tell_strays(campaign)
    return FINISHED


