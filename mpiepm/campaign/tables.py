"""Tables for the screen."""

from collections.abc import Iterable, Sequence

from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.status import Status
from mpiepm.campaign.submit import Batch
from mpiepm.core.amounts import in_bytes, in_time, number_of


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "<") -> str:
    """Columns as wide as they need to be, to the left (<) or to the right (>); the last character holds for all that follow."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    align = align.ljust(len(head), align[-1] if len(align) > 1 else ">")
    texts = [[f"{cell:{a}{width}}" for cell, a, width in zip(line, align, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(cells).rstrip() for cells in texts)


def plan(campaign: Campaign, costs: dict[str, Cost], statuses: dict[str, Status]) -> str:
    """A line for each state point, seeds together: memory and disk of its largest run at work, all archives."""
    groups: dict[str, list[Point]] = {}
    for point in campaign.points:
        groups.setdefault(state_point(point), []).append(point)
    rows = []
    for name, points in groups.items():
        first = costs[points[0].name]
        here = [costs[p.name] for p in points]
        done = sum(statuses[p.name].state == "finished" for p in points)
        rows.append([
            name, str(len(points)), str(done or "-"), points[0].params.engine.name, str(first.ranks),
            f"{first.events:.3g}" if first.events else "-", in_time(first.seconds), f"{sum(c.core_hours for c in here):.3g}",
            in_bytes(max(c.memory for c in here), 3), in_bytes(max(c.disk for c in here), 3),
            in_bytes(sum(c.archive for c in here), 3),
        ])  # fmt: skip
    head = ("state point", "runs", "done", "engine", "ranks", "events", "time each", "core-hours", "memory", "disk", "archives")
    return table(head, rows)


def state_point(point: Point) -> str:
    """The name without the seed."""
    return "/".join(part for part in point.name.split("/") if not part.startswith("seed=")) or point.name


def demand(campaign: Campaign, todo: Sequence[Point], predicted: dict[str, Cost], wanted: Sequence[Batch]) -> str:
    """What is to be done: core-hours and disk as predicted, and the jobs that it would be under Slurm."""
    hours = sum(predicted[point.name].core_hours for point in todo)
    kept = sum(predicted[point.name].archive for point in campaign.points)
    if not todo:
        return f"to do: nothing; all archives {in_bytes(kept, 3)}"
    largest = max(predicted[point.name].disk for point in todo)
    return (
        f"to do: {number_of(len(todo), 'run')}, {hours:.4g} core-hours; "
        f"all archives {in_bytes(kept, 3)}, a run up to {in_bytes(largest, 3)} at work\n"
        f"under Slurm: {number_of(sum(batch.jobs for batch in wanted), 'job')} in {number_of(len(wanted), 'call')} of sbatch, "
        f"the largest on {number_of(max(batch.cores for batch in wanted), 'core')}"
    )


def request(batch: Batch) -> str:
    """What a call of sbatch asks for."""
    asked = batch.request
    shape = f"{number_of(batch.cores, 'core')} on {number_of(asked.nodes, 'node')}, {in_time(60.0 * asked.walltime)} at a time"
    runs = number_of(len(batch.points), "run")
    return f"{runs} packed on {shape}" if asked.packed else f"{runs}, each on {shape}"
