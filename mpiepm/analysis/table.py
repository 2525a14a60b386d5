"""Tables for the screen: what runs measured."""

from collections.abc import Sequence
from pathlib import Path

from mpiepm.analysis.results import StatePoint, state_points


def tables(points: Sequence[StatePoint]) -> str:
    """One block for each state point: relaxation times, chi4 peak, yield rate, ..., or activity, diffusion, ..."""
    return "\n\n".join(point.table() for point in points)


def summary(folders: Sequence[Path]) -> str:
    """The tables of the runs in these folders."""
    return tables(state_points(folders))
