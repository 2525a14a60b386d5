"""The kernel of EPM-Q: the paper's numbers, and the harmonic expansion against the exact kernel."""

import numpy as np
import pytest

from mpiepm.kernels import eshelby
from mpiepm.kernels import harmonics as kernel_harmonics
from mpiepm.theory import mean_field


def test_coupling_and_edge_of_the_paper() -> None:
    alpha = mean_field.coupling(eshelby.exact_kernels((64, 64)))
    assert alpha == pytest.approx(0.1101, abs=2e-4)
    assert mean_field.edge_of_coupling(alpha) == pytest.approx(0.7494, abs=5e-4)
    assert mean_field.activation_energy(alpha) == pytest.approx(0.1254, abs=5e-4)


@pytest.mark.parametrize(
    ("order", "rms", "largest"),
    [(1, 4.7e-2, 4.7e-3), (2, 3.6e-3, 4.2e-4), (3, 3.8e-4, 3.2e-5), (4, 4.1e-5, 4.1e-6), (5, 6.3e-6, 6.0e-7),
     (6, 9.1e-7, 7.8e-8)],
)  # fmt: skip
def test_error_of_the_harmonic_expansion(order: int, rms: float, largest: float) -> None:
    shape = (128, 128)
    c, norm = kernel_harmonics.real_space(shape, eshelby.Eshelby("paper"), order)
    series = kernel_harmonics.inverse_norm_series(norm)
    error, total, worst = 0.0, 0.0, 0.0
    angles = np.arange(24) * np.pi / 48
    for psi in angles:
        phases = [1.0] + [2 * f(4 * m * psi) for m in range(1, order + 1) for f in (np.cos, np.sin)]
        expanded = np.tensordot(phases, c, axes=1)
        exact = eshelby.exact_kernel(shape, psi) / (series @ np.cos(4 * np.arange(len(series)) * psi))
        difference = expanded - exact
        difference[0, 0] = exact[0, 0] = 0.0
        error, total = error + np.sum(difference**2), total + np.sum(exact**2)
        worst = max(worst, np.abs(difference).max())
    assert np.sqrt(error / total) == pytest.approx(rms, rel=0.1)
    assert worst == pytest.approx(largest, rel=0.1)


@pytest.mark.parametrize("shape", [(32, 32), (24, 30), (15, 22)])
def test_norm_is_the_mean_over_the_fine_lattice(shape: tuple[int, int]) -> None:
    _, norm = kernel_harmonics.real_space(shape, eshelby.Eshelby("paper"), 1)
    kx, ky = (np.arange(-length, length) for length in shape)
    psi = kernel_harmonics.quadrature_angles()[5]
    mean = 0.0
    for sx in (1, -1):  # eq. 14 word for word, both signs where q is at the edge
        for sy in (1, -1):
            qx = np.where(kx == -shape[0], sx * np.pi, np.pi * kx / shape[0])[:, None]
            qy = np.where(ky == -shape[1], sy * np.pi, np.pi * ky / shape[1])[None, :]
            a, b = np.cos(psi) * qx + np.sin(psi) * qy, -np.sin(psi) * qx + np.cos(psi) * qy
            with np.errstate(invalid="ignore"):
                g = -4 * (1 - np.cos(a)) * (1 - np.cos(b)) / (2 - np.cos(a) - np.cos(b)) ** 2
            mean += 0.25 * np.nan_to_num(g).mean()
    assert norm[5] == pytest.approx(-mean, rel=1e-12)


def test_inverse_norm_series_between_the_quadrature_points() -> None:
    series = kernel_harmonics.inverse_norm_series(kernel_harmonics.real_space((32, 32), eshelby.Eshelby("paper"), 1)[1])
    for psi in (0.01, 0.3, 1.1):
        value = series @ np.cos(4 * np.arange(len(series)) * psi)
        g = eshelby.exact_kernel((32, 32), psi)
        fine = eshelby.exact_kernel((32, 32), psi, "conserving")
        assert 0.505 < 1 / value < 0.637
        assert g[3, 4] / fine[3, 4] == pytest.approx(g[5, 1] / fine[5, 1])


@pytest.mark.parametrize("psi", [0.0, 0.3, np.pi / 4, 1.2])
def test_sums_of_the_kernels(psi: float) -> None:
    assert -0.143 < eshelby.exact_kernel((64, 64), psi).sum() < 0.013
    assert eshelby.exact_kernel((64, 48), psi, "conserving").sum() == pytest.approx(0.0, abs=1e-12)


def test_far_field() -> None:
    shape, psi = (256, 256), 0.3
    g = eshelby.exact_kernel(shape, psi)
    norm = kernel_harmonics.real_space((64, 64), eshelby.Eshelby("paper"), 1)[1][0]  # psi = 0, for the size only
    r, theta = np.hypot(12, 5), np.arctan2(5, 12)
    assert g[12, 5] == pytest.approx(np.cos(4 * (theta - psi)) / (np.pi * r**2) / norm, rel=0.25)
