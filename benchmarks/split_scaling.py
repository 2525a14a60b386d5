"""Cost model of the split engine, and what it predicts for strong and weak scaling.

    python benchmarks/split_scaling.py [--length 16384] [--temperatures 0.02 0.013]

Seconds per event of a lattice of N sites on P ranks:

    t = (near(N / P) + k) / P                              events of a rank's own strips, and kicks across their edges
      + (flush(N / P) N / P + 12 N / (P B) + 3 a P) / n    far field: transforms and bounds, Alltoallv of 12 N bytes in all
      + (w + 6 a log2 P) / m                               windows: Python; collectives and messages to neighbours

n = N (far_tolerance T)^2 / (<drop^2> variance) events between two far fields, m = N Gamma window events in a window. near,
flush (time per site), k and w are fitted to `benchmarks/split_engine.py` (MEASURED), Gamma follows its Arrhenius law; bandwidth
B and latency a of the network are assumptions, as is that ranks share neither memory bandwidth nor caches.
"""

import argparse
import math

import numpy as np

# L, ranks, us per event: all, near, far, at T = 0.02, far_tolerance 0.2, window 1
MEASURED = [
    (512, 1, 6.68, 3.81, 2.06), (1024, 1, 7.19, 3.92, 2.64), (2048, 1, 8.57, 4.98, 3.01), (4096, 1, 9.85, 5.73, 3.51),
    (1024, 2, 4.42, 2.24, 1.53), (2048, 2, 4.87, 2.66, 1.69), (4096, 2, 5.48, 3.18, 1.90),
]  # fmt: skip
BANDWIDTH = 5e9   # bytes per second and rank, assumed
LATENCY = 3e-6    # seconds, assumed
SQUARE = 1.6      # <drop^2>
VARIANCE = 1.44e-3
STRIP = 32        # rows, the least that a radius of 16 allows


def between_flushes(sites: int, temperature: float, far_tolerance: float = 0.2) -> float:
    """Events between two far fields."""
    return sites * (far_tolerance * temperature) ** 2 / (SQUARE * VARIANCE)


def per_window(sites: int, temperature: float, window: float = 1.0) -> float:
    """Events in a window; 1 / Gamma = 1737 sweeps at T = 0.02 with the activation energy 0.139 of T = 0.02 ... 0.01."""
    return sites * window / (1737.0 * math.exp(0.139 * (1.0 / temperature - 50.0)))


def fit() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """near (us) and flush (ns per site) as straight lines in log2(sites of a rank); k, and w on one rank and on more (us)."""
    near, flush, rest, design, where = [], [], [], [], []
    for length, p, total, close, far in MEASURED:
        sites = length**2
        where.append(math.log2(sites / p))
        near.append(close * p)
        flush.append(far * between_flushes(sites, 0.02) / (sites / p) * 1e3)
        m = per_window(sites, 0.02)
        rest.append(total - close - far)
        design.append([1.0 / p, 1.0 / m if p == 1 else 0.0, 1.0 / m if p > 1 else 0.0])
    solution = np.linalg.lstsq(np.array(design), np.array(rest), rcond=None)[0]
    return np.polyfit(where, near, 1), np.polyfit(where, flush, 1), solution


def predict(length: int, ranks: int, temperature: float) -> dict[str, float]:
    """us per event, by its parts."""
    near, flush, (kicks, alone, together) = fit()
    sites = length**2
    own = sites / ranks
    n, m = between_flushes(sites, temperature), per_window(sites, temperature)
    message = 0.0 if ranks == 1 else (12 * own / BANDWIDTH + 3 * LATENCY * ranks) * 1e6
    collectives = 0.0 if ranks <= 2 else 6 * LATENCY * math.log2(ranks) * 1e6  # of two ranks: measured, in w
    parts = {
        "near": float(np.polyval(near, math.log2(own)) + kicks) / ranks,
        "far": float(np.polyval(flush, math.log2(own))) * 1e-3 * own / n,
        "exchange": message / n,
        "windows": ((alone if ranks == 1 else together) + collectives) / m,
    }
    return {"all": sum(parts.values()), **parts}


def table(rows: list[tuple[int, int]], temperature: float) -> None:
    """Print Markdown rows; the efficiency is that of the cost per event and rank, against the first row."""
    reference = 0.0
    for length, ranks in rows:
        p = predict(length, ranks, temperature)
        here = p["all"] * ranks
        reference = reference or here
        cells = " | ".join(f"{p[key]:.3g}" for key in ("all", "near", "far", "exchange", "windows"))
        possible = "" if ranks <= length // STRIP else f" (at most {length // STRIP} ranks with strips of {STRIP})"
        print(f"| {temperature:g} | {length} | {ranks}{possible} | {cells} | {reference / here:.2f} |")


def main() -> None:
    """Print measured against fitted, and the predictions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.02, 0.013])
    a = parser.parse_args()
    kicks, alone, together = fit()[2]
    print(f"k = {kicks:.2f} us, w = {alone:.0f} us on one rank, {together:.0f} us on more")
    print("| L | ranks | measured, us | model, us |\n|---|---|---|---|")
    for length, ranks, total, *_ in MEASURED:
        print(f"| {length} | {ranks} | {total} | {predict(length, ranks, 0.02)['all']:.2f} |")
    head = "\n| T | L | ranks | us per event | near | far | exchange | windows | efficiency |\n" + 9 * "|---" + "|"
    print(head)
    for temperature in a.temperatures:
        table([(a.length, 4**k) for k in range(6)], temperature)
    print(head)
    for temperature in a.temperatures:
        table([(a.length // 2 ** (5 - k), 4**k) for k in range(6)], temperature)


if __name__ == "__main__":
    main()
