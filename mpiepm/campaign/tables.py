"""Tables for the screen."""

from collections.abc import Iterable, Sequence

from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.status import Status


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first one to the left, numbers to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    text = []
    for first, *rest in lines:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"


def size(number: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.3g} {unit}"


def plan(campaign: Campaign, costs: dict[str, Cost], statuses: dict[str, Status]) -> str:
    """A line for each state point, seeds together."""
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
            f"{first.events:.3g}" if first.events else "-", duration(first.seconds), f"{sum(c.core_hours for c in here):.3g}",
            size(first.memory), size(sum(c.archive for c in here)),
        ])  # fmt: skip
    head = ("state point", "runs", "done", "engine", "ranks", "events", "time each", "core-hours", "memory", "archives")
    return table(head, rows)


def state_point(point: Point) -> str:
    """The name without the seed."""
    return "/".join(part for part in point.name.split("/") if not part.startswith("seed=")) or point.name
