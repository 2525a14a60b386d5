"""Avalanches on 1-4 ranks: the same sums as of one rank that has all events."""

import json

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.grid.domain import Domain
from mpiepm.models.state import Events, State
from mpiepm.observe.avalanches import Avalanches

pytestmark = pytest.mark.parallel(1, 2, 3, 4)
SHAPE = (13, 10)


def batches(thresholds: bool) -> list[Events]:
    """Events of the whole lattice, in the order of rows, in batches that follow each other; one is empty."""
    generator, found = np.random.default_rng(1), []
    for k in range(6):
        n = 0 if k == 2 else 200
        row, column = np.sort(generator.integers(0, SHAPE[0], n)), generator.integers(0, SHAPE[1], n)
        stability = generator.random(n) if thresholds else None
        found.append(Events(row, column, k + generator.random(n), np.ones(n), np.zeros(n), stability))
    return found


def follow(domain: Domain, thresholds: tuple[float, ...], among: list[Events]) -> list[np.ndarray]:
    """What is recorded after all batches, with a checkpoint in between."""
    avalanches = Avalanches(domain, () if thresholds else (0.005, 0.01, 5.0), thresholds)
    state, records = State(np.empty(0), np.empty(0)), []
    avalanches.begin_phase(state, 0, lambda name, value: None)
    for events in among:
        own = (events.row >= domain.first_row) & (events.row < domain.rows.stop)
        parts = (events.row, events.column, events.time, events.drop, events.angle, events.stability)
        avalanches.receive(Events(*(part if part is None else part[own] for part in parts)))
        saved = json.loads(json.dumps(avalanches.save()[0]))
        avalanches.restore(saved, {})
    avalanches.end_phase(state, lambda name, value: records.append(np.asarray(value)))
    return records


@pytest.mark.parametrize("thresholds", [(), (0.9, 0.99)])
def test_avalanches_do_not_depend_on_the_ranks(thresholds: tuple[float, ...]) -> None:
    among = batches(bool(thresholds))
    together, alone = (follow(Domain(SHAPE, comm), thresholds, among) for comm in (MPI.COMM_WORLD, MPI.COMM_SELF))
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    assert together[0].sum() > 50
    assert together[3][..., 4].max() > 5
