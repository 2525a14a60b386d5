"""Clusters on 1-4 ranks, against a lattice that a breadth-first search walks through."""

import numpy as np
import pytest

from mpiepm.grid.domain import Domain
from mpiepm.observe.clusters import cluster_numbers

pytestmark = pytest.mark.parallel(1, 2, 3, 4)


def sizes_of(mobile: np.ndarray) -> list[int]:
    """Sizes of all clusters, ascending."""
    left, sizes = {(int(i), int(j)) for i, j in np.argwhere(mobile)}, []
    while left:
        found = [left.pop()]
        for i, j in found:
            for x, y in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if (site := (x % mobile.shape[0], y % mobile.shape[1])) in left:
                    left.remove(site)
                    found.append(site)
        sizes.append(len(found))
    return sorted(sizes)


@pytest.mark.parametrize("shape", [(4, 9), (13, 10), (41, 30)])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.4, 0.6, 1.0])
def test_clusters_are_those_of_the_whole_lattice(shape: tuple[int, int], density: float) -> None:
    domain = Domain(shape)
    for seed in range(5):
        mobile = np.random.default_rng(seed).random(shape) < density
        sizes, numbers = cluster_numbers(domain, mobile[domain.rows])
        assert np.repeat(sizes, numbers).tolist() == sizes_of(mobile)
        assert np.all(np.diff(sizes) > 0)
