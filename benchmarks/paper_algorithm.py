"""What the algorithm of Ozawa & Biroli (2023) costs: random attempts, and the whole kernel added for every event.

    python benchmarks/paper_algorithm.py [--length 4096] [--temperature 0.013] [--sweeps 5e5] [--events 2.15e8]

Measures one attempt (a random site, its barrier, an exponential, a comparison) and one event (a precomputed kernel shifted to
the event's site and added; where it came from is not counted), and adds up what so many sweeps and events would take on one
core.
"""

import argparse
import time

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.kernels.eshelby import exact_kernel


@njit
def attempts(stress: np.ndarray, temperature: float, number: int) -> int:
    """How many of `number` random sites would yield."""
    accepted = 0
    for _ in range(number):
        s = abs(stress[np.random.randint(stress.shape[0]), np.random.randint(stress.shape[1])])
        if s >= 1.0 or np.random.random() < np.exp(-((1.0 - s) ** 1.5) / temperature):
            accepted += 1
    return accepted


@njit
def event(stress: np.ndarray, kernel: np.ndarray, row: int, column: int, drop: float) -> None:
    """Add the kernel, shifted to (row, column)."""
    lx, ly = stress.shape
    for i in range(lx):
        source = kernel[(i - row) % lx]
        for j in range(column):
            stress[i, j] += drop * source[j - column + ly]
        for j in range(column, ly):
            stress[i, j] += drop * source[j - column]


def best(function: object, *arguments: object, repeats: int = 5) -> float:
    """Shortest time of a call, seconds, after one that compiles."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function(*arguments)  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    """Print the costs and what they add up to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--temperature", type=float, default=0.013)
    parser.add_argument("--sweeps", type=float, default=5e5)
    parser.add_argument("--events", type=float, default=2.15e8)
    a = parser.parse_args()
    stress = np.random.default_rng(1).normal(0.0, 0.38, (a.length, a.length))
    kernel = np.tile(exact_kernel((64, 64), 0.3), (a.length // 64, a.length // 64))
    attempt = best(attempts, stress, a.temperature, 10_000_000) / 10_000_000
    one = best(event, stress, kernel, a.length // 3, a.length // 5, 1e-12)
    print(f"attempt {attempt * 1e9:.1f} ns, event {one * 1e3:.2f} ms at L = {a.length}")
    total = a.sweeps * a.length**2 * attempt, a.events * one
    print(f"{a.sweeps:g} sweeps: {total[0] / 86400:.3g} days of attempts; {a.events:g} events: {total[1] / 86400:.3g} days")


if __name__ == "__main__":
    main()
