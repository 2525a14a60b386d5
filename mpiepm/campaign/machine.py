"""How fast this machine is: a short benchmark, kept in a file outside the repository.

Each engine runs for a second or two at a size and temperature that are typical of it; the factor of an engine is its
time over the built-in cost (`campaign.speed`).
"""

import os
import platform
import time
from pathlib import Path

import tomli_w

from mpiepm.campaign import cost, speed
from mpiepm.campaign.speed import Factors, Machine
from mpiepm.core.params import AnyParameters, FerreroParameters, from_values, load_toml, validated
from mpiepm.core.sections import Section
from mpiepm.io.disk import write_text

_SECONDS = 1.5
_SAMPLES = (  # engine, L, T
    ("event", 64, 0.02), ("event", 256, 0.02), ("split", 256, 0.02), ("split", 512, 0.015), ("sweep", 256, 0.06),
    ("step", 256, 0.1),
)  # fmt: skip


class MachineFile(Section):
    """What is kept: factors over the built-in costs, by engine."""

    name: str = "a machine"
    measured: str = ""
    factors: Factors = Factors()


def default_path() -> Path:
    """Of the file of this machine: ${XDG_CACHE_HOME:-~/.cache}/mpiepm/machine-NAME.toml."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mpiepm" / f"machine-{platform.node() or 'unknown'}.toml"


def load(path: Path) -> Machine:
    """The machine of a file.

    Raises
    ------
    ParameterError : if there is something else in it
    """
    file = validated(MachineFile, load_toml(path), str(path))
    return Machine(file.name, file.factors.known())


def known() -> Machine:
    """The machine we are on, as it was measured, else the built-in numbers."""
    path = default_path()
    return load(path) if path.exists() else Machine()


def measure() -> Machine:
    """Run the benchmark, about half a minute on one core, and keep what it finds."""
    ratios: dict[str, list[float]] = {}
    for engine, length, temperature in _SAMPLES:
        ratios.setdefault(engine, []).append(_ratio(_params(engine, length, temperature)))
    factors = {engine: (max(found) * min(found)) ** 0.5 for engine, found in ratios.items()}
    path = default_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = tomli_w.dumps({"name": platform.node(), "measured": time.strftime("%Y-%m-%d"), "factors": factors})
    head = "# Time of each engine over the built-in one, by `mpiepm campaign plan --measure`\n"
    write_text(path, head + text)
    return load(path)


def _params(engine: str, length: int, temperature: float) -> AnyParameters:
    lattice = {"size": [length, length]}
    if engine == "step":
        model = {"name": "ferrero", "temperature": temperature}
        return from_values({"lattice": lattice, "model": model, "run": {"equilibrate": {"time": 1e6}, "duration": 1e6}})
    model = {"name": "epmq", "temperature": temperature}
    run = {"equilibrate": {"events_per_site": 1e6}}
    return from_values({"lattice": lattice, "model": model, "engine": {"name": engine}, "run": run})


def _ratio(params: AnyParameters) -> float:
    """Seconds of a stretch of a run over what they should be."""
    from mpiepm.engine.layout import slabs
    from mpiepm.grid.domain import ALONE
    from mpiepm.simulation import Simulation
    from mpiepm.warmup import rehearse

    rehearse(params)
    simulation = Simulation(slabs(params, ALONE), params)
    state = simulation.state
    if isinstance(params, FerreroParameters):
        expected = speed.per_step(params, 1) / params.engine.time_step
        skip, pace = 10.0, 0.3 / expected
    else:
        yield_time = cost.inverse_yield_rate(params)
        expected = speed.per_event(params, 1, yield_time)
        skip, pace = 0.3 * yield_time, 0.05 / expected * yield_time / simulation.domain.sites
    simulation.advance(simulation.engine.boundary(skip))  # the Gaussian start is no typical state
    done, began, clock = state.events, state.time, time.perf_counter()
    while time.perf_counter() - clock < _SECONDS:
        simulation.advance(simulation.engine.boundary(state.time + pace))
    took = time.perf_counter() - clock
    amount = state.time - began if isinstance(params, FerreroParameters) else state.events - done
    return took / max(amount, 1) / expected
