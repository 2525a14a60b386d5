"""The kernel cut in two: near and far field together are the exact kernel, on any number of ranks."""

import numpy as np
import pytest

from mpiepm.core.engine_sections import Split
from mpiepm.engine import bounds, strips, thinning
from mpiepm.engine.farfield import FarField
from mpiepm.engine.layout import slabs
from mpiepm.engine.stencil import node
from mpiepm.kernels.eshelby import exact_kernel
from mpiepm.models.parameters import parse

pytestmark = pytest.mark.parallel(1, 2, 3)


@pytest.mark.parametrize(("shape", "radius"), [((72, 50), 8), ((99, 64), 16)])
@pytest.mark.parametrize("kernel", ["paper", "conserving"])
def test_near_and_far_field_are_the_kernel(shape: tuple[int, int], radius: int, kernel: str) -> None:
    params = parse(
        "[model]\ntemperature = 0.1\n[engine]\nname = 'split'",
        [f"lattice.size={list(shape)}", f"engine.radius={radius}", f"engine.strip={2 * radius}", f"model.kernel={kernel}"],
    )
    assert isinstance(params.engine, Split)
    domain = slabs(params)
    far = FarField(domain, params.model, params.engine)
    clocks, rates = thinning.clocks(domain.local_shape), bounds.rates(params.model)
    variance = []
    for n, angle in enumerate(np.linspace(0.0, 0.5 * np.pi, 21)):
        stress = np.zeros(domain.local_shape)
        thinning.start(rates, clocks, 1, domain.first_row, stress)
        row, column, drop = (7 * n) % shape[0], (11 * n) % shape[1], 1.5
        for wrap in (-shape[0], 0, shape[0]):
            top = row - radius - domain.first_row + wrap
            strips.kick(far.stencil, rates, clocks, stress, 0, len(stress), top, column, drop, angle)
        near = np.array(stress)
        a, u = node(angle)
        source = drop * ((1.0 - u) * far.stencil.source[a] + u * far.stencil.source[min(a + 1, len(far.stencil.source) - 1)])
        if domain.rows.start <= row < domain.rows.stop:
            far.sources.source[:, row - domain.first_row, column] = source[:2]
            far.sources.uniform[row - domain.first_row] = source[2]
        far.flush(stress)
        exact = np.roll(exact_kernel(shape, angle, kernel), (row, column), axis=(0, 1))[domain.rows]  # type: ignore[arg-type]
        error = stress / drop - exact
        assert np.abs(error[near != 0.0]).max(initial=0.0) <= 1.5e-6  # single precision of the transform included
        assert np.abs(error).max() < 1e-4 * (8 / radius) ** 4  # m = 2 beyond the radius falls as r^-4
        assert domain.sum_power(error) == pytest.approx(0.0, abs=1e-5)
        variance.append(domain.sum_power(np.where(near == 0.0, exact, 0.0), 2))
    assert far.variance == pytest.approx(np.mean(variance), rel=0.15)
