"""Long validations (pytest -m statistics): both engines against the reference, L = 64.

The reference starts a new origin *with the event* after which P falls below 0.01. Such origins lie within avalanches more often
than a time chosen at random, and tau_alpha comes out smaller than its stationary mean (docs/event_engine.md has numbers).
The event engine is compared by the same rule, from its list of events; the sweep engine with its own origins, at temperatures
where the rule makes no difference.
"""

import numpy as np
import pytest

from mpiepm.analysis import estimators
from mpiepm.analysis.errors import jackknife
from mpiepm.core.jit import njit
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import parse
from mpiepm.simulation import Simulation
from mpiepm.validation import measure

pytestmark = [pytest.mark.statistics, pytest.mark.timeout(3600)]

# T, tau_alpha and its error, chi4 peak and its error, 1 / Gamma and its error
REFERENCE = [
    (0.1, 7.3691, 0.055, 3.173, 0.35, 7.85, 0.118),
    (0.06, 22.156, 0.25, 8.364, 0.89, 19.822, 0.297),
    (0.04, 71.581, 1.2, 17.14, 2.0, 58.194, 0.873),
    (0.03, 240.54, 6.9, 41.48, 4.6, 174.3, 2.61),
    (0.02, 2427.3, 110.0, 89.75, 8.7, 1699.9, 51.0),
    (0.015, 22828.0, 1200.0, 129.6, 12.0, 17463.0, 524.0),
    (0.013, 87106.0, 4800.0, 135.7, 12.0, 71508.0, 2145.0),
    (0.01, 2108100.0, 150000.0, 222.3, 18.0, 1979100.0, 59373.0),
]
LENGTH, SITES, ORIGINS, STOP = 64, 64 * 64, 200, 0.01
LAGS = 10.0 ** np.arange(-2, 16, 1 / 16)


@njit
def persistence_by_events(time: np.ndarray, site: np.ndarray, stop: float, out: np.ndarray, end: np.ndarray) -> int:
    """P at `LAGS` of origins that follow each other, each from the event that ended the one before; number of origins."""
    lags = 10.0 ** (np.arange(out.shape[1]) / 16.0 - 2.0)
    untouched = np.ones(SITES, np.bool_)
    alive, origin, start, k = SITES, 0, 0.0, 0
    for n in range(time.size):
        while k < lags.size and lags[k] < time[n] - start:
            out[origin, k] = alive / SITES
            k += 1
        if untouched[site[n]]:
            untouched[site[n]] = False
            alive -= 1
        if alive < stop * SITES:
            out[origin, k:] = 0.0
            end[origin] = n
            origin += 1
            if origin == out.shape[0]:
                break
            untouched[:] = True
            alive, start, k = SITES, time[n], 0
    return origin


def event_list(temperature: float, events: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and sites of so many events after the start has been forgotten; time 0 is an event."""
    text = f"[model]\ntemperature = {temperature}\n[engine]\nname = 'event'"
    simulation = Simulation(Domain((LENGTH, LENGTH)), parse(text, [f"lattice.size=[{LENGTH}, {LENGTH}]"]))
    times, sites, discard = [], [], 20 * SITES
    for batch in simulation.engine.advance(simulation.state, np.inf):
        if simulation.state.events > discard:
            times.append(batch.time.copy())
            sites.append(batch.row * LENGTH + batch.column)
        if simulation.state.events > discard + events:
            break
    time = np.concatenate(times)
    return time - time[0], np.concatenate(sites)


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"T={row[0]}")
def test_event_engine(row: tuple[float, ...]) -> None:
    temperature, tau, tau_error, peak, peak_error, inverse_rate, rate_error = row
    time, site = event_list(temperature, 15 * SITES * ORIGINS)
    p, end = np.empty((ORIGINS, len(LAGS))), np.empty(ORIGINS, np.int64)
    origins = persistence_by_events(time, site, STOP, p, end)
    assert origins >= 150
    p, end = p[:origins], end[:origins]
    duration, count = np.diff(time[end], prepend=0.0), np.diff(end, prepend=0)
    measured = [
        jackknife(lambda o: estimators.relaxation_time(LAGS, p[o]), origins),
        jackknife(lambda o: float(estimators.chi4(p[o], SITES).max()), origins),
        jackknife(lambda o: float(duration[o].sum() * SITES / count[o].sum()), origins),
    ]
    expected = [(tau, tau_error), (peak, peak_error), (inverse_rate, rate_error)]
    off = [(m.value - v) / np.hypot(m.error, e) for m, (v, e) in zip(measured, expected, strict=True)]
    report = ", ".join(f"{m} ({d:+.1f} se)" for m, d in zip(measured, off, strict=True))
    print(f"\nT = {temperature:g}, {origins} origins: tau_alpha, chi4 peak, 1/Gamma = {report}")
    assert np.all(np.abs(off) < 3.0), report


@pytest.mark.parametrize("row", [REFERENCE[0], REFERENCE[2]], ids=lambda row: f"T={row[0]}")
def test_sweep_engine(row: tuple[float, ...]) -> None:
    temperature, tau, tau_error, _, _, inverse_rate, rate_error = row
    samples = [
        measure(parse(
            f"[model]\ntemperature = {temperature}",
            ["lattice.size=[64, 64]", "run.origins=150", "run.stop_persistence=0.01", "engine.window=0.1",
             f"run.seed={seed}"],
        ))
        for seed in (1, 2)
    ]  # fmt: skip
    lag = max((s.lag for s in samples), key=len)
    p = np.concatenate([np.pad(np.nan_to_num(s.persistence), ((0, 0), (0, len(lag) - len(s.lag)))) for s in samples])
    duration, events = (np.concatenate([getattr(s, name) for s in samples]) for name in ("duration", "events"))
    measured = jackknife(lambda o: estimators.relaxation_time(lag, p[o]), len(p))
    assert abs(measured.value - tau) < 3 * np.hypot(measured.error, tau_error)
    rate = jackknife(lambda o: float(duration[o].sum() * SITES / events[o].sum()), len(p))
    assert abs(rate.value - inverse_rate) < 3 * np.hypot(rate.error, rate_error)
