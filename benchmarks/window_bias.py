"""Bias of the sweep engine against its window: 1 / Gamma and tau_alpha relative to the exact dynamics.

    python benchmarks/window_bias.py [--temperatures 0.1 0.04 0.02] [--windows 0 0.1 0.2 0.3 1] [--events 1e7]

A serial stand-in with the law of `mpiepm.engine.sweep`, cheap enough for the statistics: rejection-free local clocks,
kicks to other sites held back to the end of the window and then added directly from tabulated kernels. Window 0 holds
nothing back: the exact dynamics. Each row: standard errors by jackknife over 20 blocks of origins.
"""

import argparse
import math
import time

import numpy as np
from numba import njit

from mpiepm.kernels.eshelby import exact_kernel
from mpiepm.models.epmq import rate, stress_drop


@njit(fastmath=True)
def add_kernel(stress: np.ndarray, kernel: np.ndarray, i0: int, j0: int, drop: float) -> None:
    """Add `drop` times the periodic kernel around (i0, j0), but not on the site itself."""
    length = stress.shape[0]
    own = stress[i0, j0]
    for i in range(length):
        line = kernel[i - i0 if i >= i0 else i - i0 + length]
        for j in range(j0):
            stress[i, j] += drop * line[j - j0 + length]
        for j in range(j0, length):
            stress[i, j] += drop * line[j - j0]
    stress[i0, j0] = own


@njit
def fill_rates(stress: np.ndarray, temperature: float, rates: np.ndarray, rows: np.ndarray) -> float:
    """Rates of all sites, their sums by row and in all."""
    total = 0.0
    for i in range(stress.shape[0]):
        rows[i] = 0.0
        for j in range(stress.shape[1]):
            rates[i, j] = rate(stress[i, j], temperature, 1.0, 1.0, 1.5)
            rows[i] += rates[i, j]
        total += rows[i]
    return total


@njit
def simulate(
    stress: np.ndarray, kernels: np.ndarray, temperature: float, window: float, lags: np.ndarray, stop: float,
    origins: int, most_events: int, seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """P(lag) of each origin (0 after its end), durations and events of the origins."""
    np.random.seed(seed)
    length = stress.shape[0]
    sites = length * length
    rates, rows = np.empty((length, length)), np.empty(length)
    persistence, duration, events = np.zeros((origins, lags.size)), np.zeros(origins), np.zeros(origins)
    pending = np.empty((sites, 4))
    waiting, performed = 0, 0
    total = fill_rates(stress, temperature, rates, rows)
    clock = 0.0  # within the window
    for origin in range(origins):
        untouched = np.ones((length, length), np.bool_)
        alive, t, k = sites, 0.0, 0
        while alive > stop * sites and k < lags.size:
            step = np.random.exponential() / total
            if window > 0.0 and clock + step >= window:
                # the window ends first; whole empty windows are skipped with it when nothing waits
                step = window - clock
                if waiting == 0:
                    clock = 0.0
                    t += step
                    skip = math.floor(np.random.exponential() / (total * window))
                    t += skip * window
                    step = 0.0
                    # inside the next window that has an event: its first event, exponential cut at the window
                    u = np.random.random()
                    clock = -math.log(1.0 - u * (1.0 - math.exp(-total * window))) / total
                    t += clock
                else:
                    t += step
                    clock = 0.0
                    for n in range(waiting):
                        add_kernel(
                            stress, kernels[int(pending[n, 3])], int(pending[n, 0]), int(pending[n, 1]), pending[n, 2]
                        )
                    waiting = 0
                    total = fill_rates(stress, temperature, rates, rows)
                    while k < lags.size and lags[k] <= t:
                        persistence[origin, k] = alive / sites
                        k += 1
                    continue
            else:
                t += step
                clock += step
            while k < lags.size and lags[k] <= t:
                persistence[origin, k] = alive / sites
                k += 1
            u = np.random.random() * total
            i = 0
            while i < length - 1 and u >= rows[i]:
                u -= rows[i]
                i += 1
            j = 0
            while j < length - 1 and u >= rates[i, j]:
                u -= rates[i, j]
                j += 1
            drop = stress_drop(stress[i, j], np.random.exponential(), 1.0)
            angle = int(np.random.random() * kernels.shape[0])
            stress[i, j] -= drop
            if untouched[i, j]:
                untouched[i, j] = False
                alive -= 1
            events[origin] += 1
            performed += 1
            if window > 0.0:
                new = rate(stress[i, j], temperature, 1.0, 1.0, 1.5)
                rows[i] += new - rates[i, j]
                total += new - rates[i, j]
                rates[i, j] = new
                pending[waiting, 0], pending[waiting, 1], pending[waiting, 2], pending[waiting, 3] = i, j, drop, angle
                waiting += 1
            else:
                add_kernel(stress, kernels[angle], i, j, drop)
                total = fill_rates(stress, temperature, rates, rows)
        duration[origin] = t
        if performed > most_events:
            return persistence[: origin + 1], duration[: origin + 1], events[: origin + 1]
    return persistence, duration, events


def with_error(estimator, blocks: int, origins: int) -> tuple[float, float]:
    """Value and delete-one-block jackknife error of estimator(indices of origins)."""
    parts = np.array_split(np.arange(origins), min(blocks, origins))
    left_out = np.array([estimator(np.concatenate([p for q, p in enumerate(parts) if q != k])) for k in range(len(parts))])
    n = len(parts)
    return estimator(np.arange(origins)), math.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))


def measure(length: int, temperature: float, window: float, events: int, seed: int) -> list[tuple[float, float]]:
    """(value, error) of 1 / Gamma and of tau_alpha."""
    kernels = np.array([exact_kernel((length, length), (a + 0.5) * np.pi / 256) for a in range(128)]).astype(np.float32)
    stress = np.random.default_rng(seed).normal(size=(length, length))
    lags = 10.0 ** np.arange(-1, 9, 1 / 32)
    simulate(stress, kernels, temperature, window, lags, 0.25, 10**6, 10 * length**2, seed)
    persistence, duration, count = simulate(stress, kernels, temperature, window, lags, 0.25, 10**6, events, seed + 1)

    def inverse_rate(origins: np.ndarray) -> float:
        return float(duration[origins].sum() * length**2 / count[origins].sum())

    def relaxation_time(origins: np.ndarray) -> float:
        mean = persistence[origins].mean(axis=0)
        k = int(np.flatnonzero(mean <= 0.5)[0])
        share = (mean[k - 1] - 0.5) / (mean[k - 1] - mean[k])
        return float(lags[k - 1] * (lags[k] / lags[k - 1]) ** share)

    return [with_error(f, 20, len(duration)) for f in (inverse_rate, relaxation_time)]


def main() -> None:
    """Print one Markdown row for each temperature and window."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.1, 0.04, 0.02])
    parser.add_argument("--windows", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.3, 1.0])
    parser.add_argument("--events", type=float, default=1e7)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    print("| T | window | 1/Gamma | tau_alpha | seconds |\n|---|---|---|---|---|", flush=True)
    for temperature in a.temperatures:
        for window in a.windows:
            start = time.perf_counter()
            (g, eg), (t, et) = measure(a.length, temperature, window, int(a.events), a.seed)
            print(
                f"| {temperature:g} | {window:g} | {g:.5g} +- {eg:.2g} | {t:.5g} +- {et:.2g} "
                f"| {time.perf_counter() - start:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
