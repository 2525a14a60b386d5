"""How fast this machine is: a short benchmark, kept in a file outside the repository.

Each engine runs for a second or two at a size and temperature that are typical of it; the factor of an engine is its
time over the built-in cost (`campaign.speed`).
"""

import platform
import time
from pathlib import Path

import tomli_w

from mpiepm.campaign import cost, speed
from mpiepm.campaign.speed import Factors, Machine
from mpiepm.core.folders import user_cache
from mpiepm.core.sections import Section, StationaryRun
from mpiepm.io.disk import write_text
from mpiepm.models.base import models
from mpiepm.models.parameters import Parameters, from_values, load_toml, validated

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
    return user_cache() / f"machine-{platform.node() or 'unknown'}.toml"


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


def _params(engine: str, length: int, temperature: float) -> Parameters:
    model = next(name for name, model in models().items() if engine in model.engine_names())
    stationary = issubclass(models()[model].run, StationaryRun)
    run = {"equilibrate": {"time": 1e6}, "duration": 1e6} if stationary else {"equilibrate": {"events_per_site": 1e6}}
    values = {"lattice": {"size": [length, length]}, "model": {"name": model, "temperature": temperature}, "run": run}
    return from_values({**values, "engine": {"name": engine}})


def _ratio(params: Parameters) -> float:
    """Seconds of a stretch of a run over what they should be."""
    from mpiepm.engine.layout import slabs
    from mpiepm.grid.domain import ALONE
    from mpiepm.simulation import Simulation
    from mpiepm.warmup import rehearse

    rehearse(params)
    simulation = Simulation(slabs(params, ALONE), params)
    state = simulation.state
    if params.run.stationary:
        expected = speed.per_step(params, 1) / params.engine.resolution
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
    amount = state.time - began if params.run.stationary else state.events - done
    return took / max(amount, 1) / expected
