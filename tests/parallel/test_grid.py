"""Domain, transform and convolution on 1-4 ranks: the same bits as on one, and the same numbers as the references."""

import numpy as np
import pytest
from mpi4py import MPI

from mpiepm.engine.redistribution import Redistribution
from mpiepm.grid.domain import Domain, max_ranks
from mpiepm.grid.fft import Precision, Transform
from mpiepm.kernels import eshelby, picard
from mpiepm.kernels import harmonics as kernel_harmonics
from mpiepm.models.parameters import parse
from mpiepm.models.state import Events

pytestmark = pytest.mark.parallel(1, 2, 3, 4)
SHAPES = [(64, 64), (96, 60), (33, 50), (97, 63), (8, 512), (512, 8)]


def random_field(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape)


def uneven(rows: int) -> list[int]:
    """Boundaries that no formula would choose: every rank but the last holds one or two rows."""
    ranks = MPI.COMM_WORLD.size
    return [*(3 * q // 2 for q in range(ranks)), rows] if ranks > 1 else [0, rows]


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_have_the_same_bits_for_every_cut(shape: tuple[int, int]) -> None:
    whole = random_field(shape)
    single = Domain(shape, MPI.COMM_SELF)
    for domain in (Domain(shape), Domain(shape, boundaries=uneven(shape[0]))):
        for power in (1, 2):
            assert domain.sum_power(whole[domain.rows], power) == single.sum_power(whole, power)
        assert domain.sum_counts(np.array([domain.rank, 1]))[1] == domain.size
        assert domain.minimum(5 - domain.rank) == 6 - domain.size


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-13), ("single", 1e-5)])
def test_transform_against_numpy_and_one_rank(shape: tuple[int, int], precision: str, tolerance: float) -> None:
    whole = random_field((3, *shape))
    expected = np.fft.rfft2(whole).transpose(0, 2, 1)
    alone = Transform(Domain(shape, MPI.COMM_SELF), precision)
    reference = alone.forward(whole.astype(alone.real), alone.empty_spectrum(3))
    for domain in (Domain(shape), Domain(shape, boundaries=uneven(shape[0]))):
        transform = Transform(domain, precision)
        field = transform.empty(3)
        field[:] = whole[:, domain.rows]
        spectrum = transform.forward(field, transform.empty_spectrum(3))
        assert np.abs(spectrum - expected[:, transform.ky]).max() < tolerance * np.abs(expected).max()
        assert spectrum.tobytes() == np.ascontiguousarray(reference[:, transform.ky]).tobytes()
        one = transform.forward(field[1], transform.empty_spectrum())
        assert one.tobytes() == spectrum[1].tobytes()
        back = transform.backward(spectrum, transform.empty(3))
        assert np.abs(back / (shape[0] * shape[1]) - field).max() < tolerance * np.abs(field).max()


@pytest.mark.parametrize("shape", SHAPES)
def test_contraction_is_the_sum_of_the_products(shape: tuple[int, int]) -> None:
    domain = Domain(shape)
    transform = Transform(domain)
    whole, factors = random_field((4, *shape)), random_field((4, shape[1] // 2 + 1, shape[0]))[:, transform.ky]
    spectra = transform.forward(np.ascontiguousarray(whole[:, domain.rows]), transform.empty_spectrum(4))
    total = transform.empty_spectrum()

    def fill(k: int, first: int, block: np.ndarray) -> None:
        block[:] = whole[k, domain.first_row + first :][: len(block)]

    transform.contract(fill, factors[:3], total, add=False)
    transform.contract(lambda k, first, block: fill(3, first, block), factors[3:], total, add=True)
    expected = np.sum(spectra * factors, axis=0)
    assert np.abs(total - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("shape", [(64, 64), (96, 60), (33, 50)])
@pytest.mark.parametrize(("precision", "accuracy"), [("double", 1e-14), ("single", 1e-6)])
@pytest.mark.parametrize("results", [1, 3])
def test_convolution_gives_the_same_bits_anywhere(
    shape: tuple[int, int], precision: Precision, accuracy: float, results: int
) -> None:
    field = np.sign(random_field(shape)).astype(np.int8)
    imaginary = [False, True, True][:results]
    found = []
    for domain in (Domain(shape, MPI.COMM_SELF), Domain(shape, boundaries=uneven(shape[0]))):
        transform = Transform(domain, precision)
        g = picard.stress(shape, transform.kx, transform.ky)
        u = picard.displacement(shape, transform.kx, transform.ky)
        multipliers = (np.stack([g, *u])[:results] / field.size).astype(transform.real)
        result = transform.empty(results)

        def fill(_: int, first: int, block: np.ndarray, domain: Domain = domain) -> None:
            block[:] = field[domain.first_row + first :][: len(block)]

        def take(k: int, first: int, block: np.ndarray, result: np.ndarray = result) -> None:
            result[k, first : first + len(block)] = block

        for _ in range(2):
            result[:] = np.nan
            transform.convolve(fill, multipliers, imaginary, take)
        found.append(result)
        kernels = np.stack(picard.real_space(shape))[:results]
        expected = np.fft.ifft2(np.fft.fft2(kernels) * np.fft.fft2(field)).real[:, domain.rows]
        assert np.abs(result - expected).max() < accuracy * np.sqrt(field.size)
    assert found[1].tobytes() == np.ascontiguousarray(found[0][:, domain.rows]).tobytes()


@pytest.mark.parametrize("shape", [(64, 64), (96, 60), (33, 50)])
def test_transform_against_pfft(shape: tuple[int, int]) -> None:
    from mpi4py_fft import PFFT, newDistArray

    whole = random_field(shape)
    fft = PFFT(MPI.COMM_WORLD, shape, dtype="d", slab=True)
    field, expected = newDistArray(fft, False), newDistArray(fft, True)
    field[:] = whole[field.local_slice()]
    fft.forward(field, expected, normalize=False)
    domain = Domain(shape)
    transform = Transform(domain)
    ours = transform.forward(np.ascontiguousarray(whole[domain.rows]), transform.empty_spectrum())
    columns = MPI.COMM_WORLD.allgather((expected.local_slice(), np.asarray(expected)))
    gathered = np.empty((shape[0], shape[1] // 2 + 1), complex)
    for piece, values in columns:
        gathered[piece] = values
    assert np.abs(ours - gathered.T[transform.ky]).max() < 1e-12 * np.abs(gathered).max()


def test_sum_over_wave_vectors() -> None:
    for shape in SHAPES:
        transform = Transform(Domain(shape))
        field = random_field(shape)
        spectrum = transform.forward(np.ascontiguousarray(field[transform.domain.rows]), transform.empty_spectrum())
        total = transform.sum_columns(np.stack([spectrum.real.sum(axis=1), np.abs(spectrum**2).sum(axis=1)])) / field.size
        assert total == pytest.approx([field[0, 0], np.sum(field**2)], rel=1e-10)


@pytest.mark.parametrize("shape", [(32, 32), (30, 24), (17, 26)])
@pytest.mark.parametrize("kernel", ["paper", "conserving"])
def test_redistribution_is_the_direct_sum(shape: tuple[int, int], kernel: str) -> None:
    order, n = 4, 40
    rng = np.random.default_rng(3)
    row, column = rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)
    row.sort()
    row[1], column[1] = row[0], column[0]  # two events on one site
    drop, angle = rng.normal(size=n), rng.uniform(0, np.pi / 2, n)
    # the direct sum: the same harmonics in real space, on the whole lattice
    kx, ky = (np.fft.fftfreq(shape[0]) * shape[0]).round().astype(int), np.arange(shape[1] // 2 + 1)
    spectra, sums = eshelby.Eshelby(kernel).spectra(shape, kx, ky, order)
    c = np.fft.irfft2(spectra.transpose(0, 2, 1), s=shape)
    at_zero = c[:, 0, 0].copy()
    weight = np.where((ky == 0) | (2 * ky == shape[1]), 1.0, 2.0)
    psi = kernel_harmonics.quadrature_angles()
    norm = -(sums @ weight) / (4 * shape[0] * shape[1]) if kernel == "paper" else -kernel_harmonics.harmonic_sum(at_zero, psi)
    series = kernel_harmonics.inverse_norm_series(norm)
    c[:, 0, 0] = 0.0
    expected = np.zeros(shape)
    for i, j, delta, a in zip(row, column, drop, angle, strict=True):
        phases = [1.0] + [2 * f(4 * m * a) for m in range(1, order + 1) for f in (np.cos, np.sin)]
        g = np.tensordot(phases, c, axes=1) * (series @ np.cos(4 * np.arange(len(series)) * a))
        expected += delta * np.roll(g, (i, j), (0, 1))
    for boundaries in (None, uneven(shape[0])):
        domain = Domain(shape, boundaries=boundaries)
        params = parse("[model]\ntemperature=1", [f"model.kernel={kernel}", f"engine.harmonics={order}"])
        redistribution = Redistribution(domain, params.model, params.engine)
        mine = (row >= domain.rows.start) & (row < domain.rows.stop)
        events = Events(row[mine], column[mine], np.zeros(mine.sum()), drop[mine], angle[mine])
        for _ in range(2):  # the second time through the same work arrays
            stress = np.zeros(domain.local_shape)
            redistribution.spread(events, stress)
            assert np.abs(stress - expected[domain.rows]).max() < 1e-12
        if kernel == "conserving":
            assert domain.sum_power(stress) == pytest.approx(drop.sum(), abs=1e-10)


def test_too_many_ranks_is_an_error_that_names_the_largest_number() -> None:
    assert max_ranks((96, 60)) == 31
    if MPI.COMM_WORLD.size > 3:
        with pytest.raises(ValueError, match="at most 3"):
            Domain((8, 4))
    with pytest.raises(ValueError, match="do not cut"):
        Domain((16, 16), boundaries=[0] * (MPI.COMM_WORLD.size + 1))
