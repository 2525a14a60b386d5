"""Bias of the split engine against its radius, far_tolerance, strip and window: beside the event engine at the same points.

    python benchmarks/split_bias.py [--length 64] [--temperatures 0.04 0.02] [--origins 150] [--vary KEY=VALUE ...]

One Markdown row for each engine: 1 / Gamma, tau_alpha and chi4 peak with standard errors, the differences to the event
engine in combined standard errors, the rms of the stress that waits in the far field (units of T), and the cost of an
event. Rows: the event engine, the split engine's defaults, and each `--vary` on its own.
"""

import argparse
import time

import numpy as np

from mpiepm.analysis.errors import Estimate
from mpiepm.engine.layout import slabs
from mpiepm.engine.split import SplitEngine
from mpiepm.models.parameters import Parameters, parse
from mpiepm.simulation import Simulation
from mpiepm.validation import Sample, measure

VARIANTS = [
    "far_tolerance=0.05", "far_tolerance=0.3", "far_tolerance=0.6", "radius=8", "radius=24", "strip=32", "window=0.3",
    "window=10",
]  # fmt: skip


def lag(params: Parameters, samples: int) -> float:
    """Rms over sites and times of the stress that waits in the far field."""
    simulation = Simulation(slabs(params), params)
    engine, state = simulation.engine, simulation.state
    assert isinstance(engine, SplitEngine)
    squares: list[float] = []
    steps = 0
    for _ in engine.advance(state, np.inf):
        steps += 1
        if state.events < 5 * simulation.domain.sites or steps % 7:
            continue
        source, uniform = engine._far.sources.source.copy(), engine._far.sources.uniform.copy()
        waiting = np.zeros_like(state.stress)
        engine._far.flush(waiting)
        engine._far.sources.source[:], engine._far.sources.uniform[:] = source, uniform
        squares.append(float(np.mean(waiting**2)))
        if len(squares) == samples:
            break
    return float(np.sqrt(np.mean(squares)))


def estimates(sample: Sample) -> list[Estimate]:
    """The three quantities of a row."""
    return [sample.inverse_rate(), sample.tau_alpha(), sample.chi4_peak()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.04, 0.02])
    parser.add_argument("--origins", type=int, default=150)
    parser.add_argument("--vary", nargs="*", default=VARIANTS)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    print("| T | engine | 1/Gamma | tau_alpha | chi4 peak | lag / T | us per event |\n" + 7 * "|---" + "|", flush=True)
    for temperature in a.temperatures:
        exact: list[Estimate] = []
        for variant in ["event", "split", *a.vary]:
            overrides = [f"engine.name={'event' if variant == 'event' else 'split'}"]
            if "=" in variant:
                overrides.append(f"engine.{variant}")
            base = [f"lattice.size=[{a.length}, {a.length}]", f"run.origins={a.origins}", f"run.seed={a.seed}"]
            params = parse(f"[model]\ntemperature = {temperature}", [*base, "run.stop_persistence=0.01",
                           "output.first_event_maps=false", *overrides])  # fmt: skip
            start = time.perf_counter()
            sample = measure(params)
            cost = (time.perf_counter() - start) / (sample.events.sum() + 10 * sample.sites) * 1e6
            values = estimates(sample)
            cells = [
                f"{v}" + (f" ({(v.value - e.value) / np.hypot(v.error, e.error):+.1f})" if exact else "")
                for v, e in zip(values, exact or values, strict=True)
            ]
            exact = exact or values
            waiting = "-" if variant == "event" else f"{lag(params, 200) / temperature:.3f}"
            print(f"| {temperature:g} | {variant} | {' | '.join(cells)} | {waiting} | {cost:.1f} |", flush=True)


if __name__ == "__main__":
    main()
