"""Bias by the window of the sweep engine: 1 / Gamma, tau_alpha and the peak of chi4, against the event engine.

    python benchmarks/window_bias.py [--size 64] [--temperatures 0.1 0.06 0.04] [--windows 0.05 0.1 0.3 1] [--origins 100]

One Markdown row for each temperature and window, errors by jackknife over origins. Window 0 is the event engine, which is
exact.
"""

import argparse
import time

from mpiepm.models.parameters import parse
from mpiepm.validation import STOP, Sample, measure


def sample(size: int, temperature: float, window: float, origins: int, seed: int) -> Sample:
    """Origins that end at P = `STOP`."""
    engine = f'name = "sweep"\nwindow = {window}' if window else 'name = "event"'
    return measure(parse(
        f"lattice.size = [{size}, {size}]\n[model]\ntemperature = {temperature}\n[engine]\n{engine}\n"
        f"[run]\nseed = {seed}\norigins = {origins}\nstop_persistence = {STOP}"
    ))  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.1, 0.06, 0.04])
    parser.add_argument("--windows", type=float, nargs="+", default=[0.05, 0.1, 0.3, 1.0])
    parser.add_argument("--origins", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    print("| T | window | 1/Gamma | tau_alpha | chi4 peak | seconds |\n|---|---|---|---|---|---|", flush=True)
    for temperature in a.temperatures:
        for window in (0.0, *a.windows):
            began = time.perf_counter()
            found = sample(a.size, temperature, window, a.origins, a.seed)
            values = f"{found.inverse_rate()} | {found.tau_alpha()} | {found.chi4_peak()}"
            print(f"| {temperature:g} | {window:g} | {values} | {time.perf_counter() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
