"""Kernels of stress and displacement: known values, and the laws of elasticity that they obey."""

import numpy as np
import pytest

from mpiepm.kernels import picard

SHAPES = [(64, 64), (24, 40), (33, 50), (15, 22)]


def whole(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    kx, ky = ((np.fft.fftfreq(length) * length).round().astype(int) for length in shape)
    return kx, ky


def test_values_in_real_space() -> None:
    g, ux, uy = picard.real_space((64, 64))
    expected = {(0, 0): -0.570409531, (0, 1): 0.079284668, (0, 2): 0.084618185, (1, 1): -0.105073705, (1, 2): -0.014827607}
    for site, value in expected.items():
        assert g[site] == pytest.approx(value, abs=1e-9)
    assert ux[0, 1] == pytest.approx(0.149433491, abs=1e-9)
    assert uy[1, 0] == pytest.approx(0.149433491, abs=1e-9)
    assert ux[1, 1] == pytest.approx(0.182096784, abs=1e-9)
    assert ux[1, 0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(("length", "expected"), [(64, 1.369829), (256, 1.814573), (512, 2.035784)])
def test_sum_of_squares_of_the_displacement(length: int, expected: float) -> None:
    _, ux, uy = picard.real_space((length, length))
    assert np.sum(ux**2 + uy**2) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("corrected", [False, True])
def test_stress_and_incompressibility(shape: tuple[int, int], corrected: bool) -> None:
    kx, ky = whole(shape)
    g = picard.stress(shape, kx, ky, laplacian_correction=corrected)
    ux, uy = 1j * picard.displacement(shape, kx, ky, laplacian_correction=corrected)
    qx = picard.wave_numbers(shape[0], kx, laplacian_correction=corrected)[None, :]
    qy = picard.wave_numbers(shape[1], ky, laplacian_correction=corrected)[:, None]
    inside = (2 * abs(ky)[:, None] != shape[1]) & (2 * abs(kx)[None, :] != shape[0])
    inside &= (kx[None, :] != 0) | (ky[:, None] != 0)
    assert np.abs(1j * qx * uy + 1j * qy * ux - 2.0 - 2.0 * g)[inside].max() < 1e-12
    assert np.abs(qx * ux + qy * uy)[inside].max() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_correction_is_the_lattice_laplacian(shape: tuple[int, int]) -> None:
    kx, _ = whole(shape)
    q = 2 * np.pi * kx / shape[0]
    assert np.allclose(picard.wave_numbers(shape[0], kx, laplacian_correction=True) ** 2, 2 - 2 * np.cos(q), atol=1e-14)


@pytest.mark.parametrize("corrected", [False, True])
def test_fields_are_real_and_odd_or_even(corrected: bool) -> None:
    shape = (12, 20)
    kx, ky = whole(shape)
    g = picard.stress(shape, kx, ky, laplacian_correction=corrected)
    u = 1j * picard.displacement(shape, kx, ky, laplacian_correction=corrected)
    for spectrum, field in zip((g, *u), picard.real_space(shape, laplacian_correction=corrected), strict=True):
        complete = np.fft.ifft2(spectrum.T)
        assert np.abs(complete.imag).max() < 1e-15
        assert np.allclose(complete.real, field, atol=1e-14)
    g, ux, uy = picard.real_space(shape, laplacian_correction=corrected)
    mirror = np.ix_(-np.arange(shape[0]), -np.arange(shape[1]))
    assert np.allclose(g, g[mirror], atol=1e-14)
    assert np.allclose(ux, -ux[mirror], atol=1e-14)
    assert np.allclose(uy, -uy[mirror], atol=1e-14)


def test_mean_stress_is_an_option() -> None:
    shape = (12, 20)
    kept, relaxed = (picard.real_space(shape, mean_stress=value)[0] for value in (0.0, -1.0))
    assert kept.sum() == pytest.approx(0.0, abs=1e-13)
    assert np.allclose(relaxed, kept - 1.0 / (12 * 20), atol=1e-14)
