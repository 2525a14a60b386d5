"""Estimators of tracer motion and waiting times on synthetic data whose answers are known."""

import numpy as np
import pytest
from scipy import stats

from mpiepm.analysis import structure_factor, tracers, waiting
from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.motion import Motion, in_percent
from mpiepm.theory import random_walk

DIFFUSION = 0.05


def within(estimate: Estimate, truth: np.ndarray | float, errors: float = 4.0) -> bool:
    return bool(np.all(np.abs(estimate.value - truth) < errors * estimate.error))


@pytest.fixture(scope="module")
def brownian() -> np.ndarray:
    """(frame, tracer, 2), D = DIFFUSION per frame, somewhere far from the origin."""
    rng = np.random.default_rng(1)
    return 1e3 + np.cumsum(rng.normal(size=(4000, 60, 2)) * np.sqrt(2.0 * DIFFUSION), axis=0)


@pytest.fixture(scope="module")
def telegraph() -> list[np.ndarray]:
    """Two runs in steps of 0.1: velocities N(0, 1) per component, drawn anew with the rate 1, as in the random model."""
    rng = np.random.default_rng(2)
    runs = []
    for _ in range(2):
        new = rng.random((6000, 30)) < 0.1
        new[0] = True
        drawn = np.maximum.accumulate(np.where(new, np.arange(6000)[:, None], 0), axis=0)
        velocity = np.take_along_axis(rng.normal(size=(6000, 30, 2)), drawn[..., None], axis=0)
        runs.append(np.concatenate([np.zeros((1, 30, 2)), 0.1 * velocity.cumsum(axis=0)]))
    return runs


def test_lags() -> None:
    lags = tracers.log_lags(3000)
    assert lags[0] == 1
    assert lags[-1] == 1000
    assert (np.diff(lags) > 0).all()


def test_square_displacement_by_fft_is_the_direct_sum() -> None:
    positions = 100.0 + np.random.default_rng(0).normal(size=(97, 70, 2)).cumsum(axis=0)
    lags = np.array([0, 1, 5, 32, 90])
    expected = [((positions[m:] - positions[: 97 - m]) ** 2).sum(axis=2).mean() for m in lags]
    assert tracers.mean_square_displacement(positions, lags, 5).mean() == pytest.approx(np.array(expected), abs=1e-10)
    direct = structure_factor.mean_square_displacement_direct(positions, 0.1 * np.arange(97), 0.1 * lags[1:], 97, 5)
    assert direct.mean() == pytest.approx(np.array(expected[1:]), rel=1e-12)


def test_diffusion_of_brownian_motion(brownian: np.ndarray) -> None:
    lags = tracers.log_lags(len(brownian), 4)
    found = tracers.diffusion(tracers.mean_square_displacement(brownian, lags), lags)
    assert within(found, DIFFUSION)
    # all of <dr^2> of n steps from 2 n M squares of variance 2 <x^2>^2
    assert found.error[0] == pytest.approx(DIFFUSION / np.sqrt(4000 * 60), rel=0.6)
    times = np.arange(len(brownian), dtype=float)
    direct = tracers.diffusion(structure_factor.mean_square_displacement_direct(brownian, times, lags), lags)
    assert within(direct, DIFFUSION)
    assert direct.error[-1] == pytest.approx(found.error[-1], rel=0.3)  # overlapping origins add little


def test_whether_the_diffusion_coefficient_still_changes_is_said(brownian: np.ndarray) -> None:
    # bound to a point, <dr^2> is constant and D ~ 1 / t: from t / 1.8 to t it falls by 45 %; free, D is constant
    bound = np.random.default_rng(4).normal(size=(900, 40, 2))
    for positions, verdict in ((bound, "still falls: -45 +- "), (brownian, "no change within errors: ")):
        frames = tracers.log_lags(len(positions))
        squares = tracers.mean_square_displacement(positions, frames)
        rows = Motion(positions, np.arange(len(positions)), frames.astype(float), squares, 10).table()
        assert [label[:6] for label, _ in rows] == 3 * ["D(t = "] + ["D(t) a"]
        assert all(value.endswith(" site^2/tau") for _, value in rows[:3])
        assert rows[3][1].startswith(verdict)
        assert " % over the last factor of 1.8 in t" in rows[3][1]
    assert in_percent(Estimate(0.85, float("nan")), "over") == "-15 % over (no error)"
    assert in_percent(Estimate(float("nan"), float("nan")), "over") == "not known over"
    assert in_percent(Estimate(1.15, 0.03), "over") == "still rises: +15 +- 3 % over"


def test_frames_in_any_spacing(brownian: np.ndarray) -> None:
    times = (100.0 * np.arange(40)[:, None] + np.array([0, 1, 3, 10, 30])).ravel()
    first, second = structure_factor.pairs(times, 9.0)
    assert list(times[first[:2]]) == [1.0, 101.0]
    assert (times[second] - times[first] == 9.0).all()
    squares = structure_factor.mean_square_displacement_direct(
        brownian[times.astype(int)], times, np.array([9.0, 30.0, 200.0]), 300, 8
    )
    assert squares.number.sum(axis=0).tolist() == [40, 40, 190]
    assert within(tracers.diffusion(squares, np.array([9.0, 30.0, 200.0])), DIFFUSION)
    assert np.isnan(structure_factor.mean_square_displacement_direct(brownian[:50], np.arange(50.0), np.array([0.5])).mean())


def test_errors_are_those_of_many_repetitions() -> None:
    # tracers that share half of their motion: blocks of time know, tracers would not
    lags = np.array([1, 10, 100, 300])
    values, errors = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        step = rng.normal(size=(1000, 10, 2)) + rng.normal(size=(1000, 1, 2))
        found = tracers.diffusion(tracers.mean_square_displacement(step.cumsum(axis=0), lags), lags)
        values.append(found.value)
        errors.append(found.error)
    ratio = np.std(values, axis=0, ddof=1) / np.sqrt(np.mean(np.square(errors), axis=0))
    assert ratio == pytest.approx(np.ones(4), abs=0.35)
    assert np.mean(values, axis=0) == pytest.approx(np.ones(4), rel=0.1)


def test_overlap_correlation() -> None:
    assert tracers.overlap_correlation(0.001, 16) == pytest.approx(1.0)
    assert tracers.overlap_correlation(0.3, 16) > tracers.overlap_correlation(0.1, 16) > 1.0
    # of many runs it is the same, but less is lost with the mean over all blocks
    assert tracers.overlap_correlation(0.3, 64, 4) < tracers.overlap_correlation(0.3, 16)


def test_random_model(telegraph: list[np.ndarray]) -> None:
    lags = np.array([1, 3, 10, 30, 100, 300, 1000])
    squares = tracers.join([tracers.mean_square_displacement(r, lags) for r in telegraph])
    expected = random_walk.diffusion(0.1 * lags, 2.0, 1.0, 0.1)
    assert within(tracers.diffusion(squares, 0.1 * lags), expected)
    assert within(tracers.diffusion(squares, 0.1 * lags), expected / 1.2, 1.0) is False


def test_correlation_of_displacements(telegraph: list[np.ndarray]) -> None:
    lags = np.array([0, 1, 5, 10, 20, 50])
    rates = [tracers.displacement_rates(r, 1, 0.1) for r in telegraph]
    found = tracers.normalised(tracers.join([tracers.displacement_correlation(u, lags) for u in rates]))
    assert found.value[0] == 1.0
    assert within(Estimate(found.value[1:], found.error[1:]), 0.9 ** lags[1:])
    assert found.error[1:].max() < 0.02
    direct = [(rates[0][m:] * rates[0][: len(rates[0]) - m]).sum(axis=2).mean() for m in lags]
    assert tracers.displacement_correlation(rates[0], lags, 7).mean() == pytest.approx(np.array(direct), rel=1e-10)


def test_density_of_displacements(telegraph: list[np.ndarray]) -> None:
    edges = 10.0 ** (np.arange(-16, 9) / 8.0)
    shares = tracers.join([tracers.speeds(tracers.displacement_rates(r, 1, 0.1), edges) for r in telegraph])
    found = tracers.density(shares, edges)
    rayleigh = -np.diff(np.exp(-(edges**2) / 2.0)) / np.diff(edges)
    seen = shares.total.sum(axis=0) > 1000
    assert seen.sum() > 10
    assert within(Estimate(found.value[seen], found.error[seen]), rayleigh[seen])
    small = tracers.power_law(shares, edges, (0.01, 0.3))
    assert within(small, 1.0, 3.0)  # P(u) ~ u^(d - 1), Bouchaud & Pitard (2001)
    assert small.error < 0.1
    assert np.isnan(tracers.power_law(shares, edges, (50.0, 60.0)).value)


def test_power_law_of_binned_density_has_no_bias() -> None:
    edges = 10.0 ** (np.arange(0, 33) / 8.0)
    counts = np.random.default_rng(5).multinomial(2000, -np.diff(edges**-2.0), size=16)
    found = tracers.power_law(tracers.Blocks(counts, np.full((16, 1), 2000)), edges, (1.0, 30.0))
    assert within(found, -3.0, 3.0)  # P(u) ~ u^-(2d - 1)/(d - 1)
    assert found.error < 0.03
    steep = np.array([1e9, 1.0, 0.0])
    k = tracers.exponent(steep, np.array([1.0, 2.0, 4.0, 8.0]), (1.0, 4.0))
    assert k == pytest.approx(-np.log2(2e9))


def test_structure_factor_of_brownian_motion(brownian: np.ndarray) -> None:
    frames, tracer, length, k = len(brownian), brownian.shape[1], 32.0, np.arange(1, 7)
    lags = tracers.log_lags(frames, 6)
    lags = lags[lags < 400].astype(float)
    found = structure_factor.structure_factor(brownian, np.arange(frames, dtype=float), lags, k, length)
    decay = np.exp(-DIFFUSION * np.outer(lags, found.q**2))
    variance = 0.5 * (1.0 + decay**4) - decay**2
    assert within(found.cosine.estimate(), decay)
    assert within(found.square.estimate(), decay**2 + variance / tracer)
    fit = structure_factor.collapse(found.cosine, lags, found.q, (1.0, 300.0), (0.1, 1.3))
    assert fit.points > 30
    for estimate, truth in ((fit.shape, 1.0), (fit.wave_exponent, 2.0), (fit.prefactor, DIFFUSION)):
        assert within(estimate, truth)
        assert estimate.error < 0.05 * truth
    nothing = structure_factor.collapse(found.cosine, lags, found.q, (1.0, 300.0), (0.1, 0.2))
    assert np.isnan(nothing.shape.value)


def test_structure_factor_of_ballistic_motion() -> None:
    # runs of frozen Gaussian velocities: <cos> = exp(-(speed q t)^2 / 2); here the units are runs
    rng, speed, t, runs = np.random.default_rng(3), 0.1, np.arange(31.0), []
    for _ in range(40):
        positions = t[:, None, None] * speed * rng.normal(size=(500, 2))
        runs.append(structure_factor.structure_factor(positions, t, t[1:11], np.arange(2, 9), 20.0, blocks=1))
    for name, twice in (("cosine", 1.0), ("square", 2.0)):
        factor = tracers.join([getattr(r, name) for r in runs])
        fit = structure_factor.collapse(factor, t[1:11], runs[0].q, (1.0, 10.0), (0.6, 2.6), (0.2, 0.97))
        for estimate, truth in ((fit.shape, 2.0), (fit.wave_exponent, 1.0), (fit.prefactor, twice * speed**2 / 2.0)):
            assert estimate.value == pytest.approx(truth, rel=0.02)  # S has a bias of order 1 / M
        if name == "cosine":
            assert within(fit.shape, 2.0, 3.0)
            assert within(fit.wave_exponent, 1.0, 3.0)


def observed(waits: np.ndarray, start: float, duration: float, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histograms (unit, bin) of complete and cut waits in the window, and events (unit,), of sites in 20 units."""
    time = waits.cumsum(axis=1) - start
    assert time[:, -1].min() > duration
    inside = (time > 0.0) & (time < duration)
    both = inside[:, :-1] & inside[:, 1:]
    last = np.where(inside, time, -np.inf).max(axis=1)
    complete = [np.histogram(w[b], edges)[0] for w, b in zip(np.split(waits[:, 1:], 20), np.split(both, 20), strict=True)]
    cut = [np.histogram(duration - x[np.isfinite(x)], edges)[0] for x in np.split(last, 20)]
    return np.array(complete), np.array(cut), np.array([x.sum() for x in np.split(inside, 20)])


@pytest.mark.parametrize(
    ("law", "steps"),
    [(stats.expon(scale=10.0), 60), (stats.gamma(1.0 / 3.0, scale=30.0), 110)],
    ids=["exponential", "power law with cutoff"],
)
def test_waits_in_a_finite_window(law: stats.rv_continuous, steps: int) -> None:
    duration = 40.0
    edges = np.concatenate([[0.0], 0.04 * 10 ** (np.arange(25) / 8.0)])  # up to the length of the window
    waits = law.rvs(size=(8000, steps), random_state=np.random.default_rng(11))
    complete, cut, _ = observed(waits, 150.0, duration, edges)
    truth = np.diff(law.cdf(edges)) / np.diff(edges)
    known = complete.sum(axis=0) >= 100
    known[-1] = False  # the bin that ends with the window
    histogram = jackknife(lambda u: complete[u].sum(axis=0) / complete[u].sum() / np.diff(edges), len(complete))
    assert np.abs(((histogram.value - truth) / histogram.error)[known]).max() > 20.0  # of the complete waits alone
    estimate = waiting.product_limit(edges, complete, cut)
    pulls = ((estimate.value - truth) / estimate.error)[known]
    assert np.abs(pulls).max() < 4.0
    assert np.sqrt(np.mean(pulls**2)) < 1.5
    left = waiting.survival(complete.sum(axis=0), cut.sum(axis=0))[-2]
    assert left == pytest.approx(law.sf(edges[-2]), rel=0.05)


def test_unequal_sites() -> None:
    # rates 1 and 0.1: psi of all waits, event by event, is that of 10 : 1
    rng, duration = np.random.default_rng(12), 30.0
    rate = np.tile([1.0, 0.1], 4000)[:, None]
    waits = rng.exponential(size=(8000, 260)) / rate
    edges = np.concatenate([[0.0], np.geomspace(0.1, duration, 25)])
    complete, cut, _ = observed(waits, 100.0, duration, edges)
    mixed = (10.0 * np.exp(-edges) + np.exp(-0.1 * edges)) / 11.0
    truth = -np.diff(mixed) / np.diff(edges)
    estimate = waiting.product_limit(edges, complete, cut)
    assert np.abs(((estimate.value - truth) / estimate.error)[:-1]).max() < 4.0


def test_centres_of_bins() -> None:
    assert waiting.centres(np.array([0.0, 1.0, 4.0])) == pytest.approx(np.array([0.5, 2.0]))
