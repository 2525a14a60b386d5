"""The tables for single events against the exact kernel."""

import numpy as np
import pytest

from mpiepm.engine import realspace
from mpiepm.kernels import eshelby


def field_of_event(tables: realspace.Tables, row: int, column: int, angle: float) -> np.ndarray:
    """Stress change of the whole lattice by an event of unit drop."""
    weights = np.empty(len(tables.rest))
    uniform = realspace.weigh(tables, 1.0, angle, weights)
    field = np.zeros(tables.shape)
    for i in range(tables.shape[0]):
        realspace.add_to_row(
            tables.values, tables.offset, tables.radius, *tables.shape, i - row, column, uniform, weights[None], 0, field, i
        )
    return field


@pytest.mark.parametrize("shape", [(64, 64), (128, 128), (33, 50), (120, 31), (200, 96)])
@pytest.mark.parametrize("kernel", ["paper", "conserving"])
def test_every_angle_is_within_1e_6(shape: tuple[int, int], kernel: eshelby.KernelName) -> None:
    tables = realspace.tables(shape, eshelby.Eshelby(kernel))
    for n, angle in enumerate(np.linspace(0.0, 0.5 * np.pi, 25)):
        row, column = (7 * n) % shape[0], (11 * n) % shape[1]
        difference = field_of_event(tables, row, column, angle)
        exact = eshelby.exact_kernel(shape, angle, kernel)
        difference -= np.roll(exact, (row, column), axis=(0, 1))
        difference[row, column] = 0.0
        assert np.abs(difference).max() <= 1e-6
        assert difference.sum() == pytest.approx(0.0, abs=1e-6)  # the mean stress drifts as it should


def test_reach_bounds_what_a_row_receives() -> None:
    shape = (65, 48)
    tables = realspace.tables(shape, eshelby.Eshelby("paper"))
    for angle in np.linspace(0.0, 0.5 * np.pi, 19):
        weights = np.empty(len(tables.rest))
        realspace.weigh(tables, 1.0, angle, weights)
        field = np.abs(field_of_event(tables, 0, 5, angle)) / weights[0]
        field[0, 5] = 0.0
        for i in range(shape[0]):
            assert field[i].max() <= tables.reach[min(i, shape[0] - i)]


def test_higher_harmonics_are_short_ranged() -> None:
    tables = realspace.tables((256, 256), eshelby.Eshelby("paper"))
    assert tables.radius[1] == 128
    assert list(tables.radius[2:]) == sorted(tables.radius[2:], reverse=True)
    assert tables.radius[2] < 50
