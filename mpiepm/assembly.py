"""What a run is put together from: the engine and the observers that its parameters ask for."""

from mpiepm.core.engine_sections import Auto, Event, Split, Step
from mpiepm.engine.auto import AutoEngine
from mpiepm.engine.base import Engine
from mpiepm.engine.event import EventEngine
from mpiepm.engine.extremal import ExtremalEngine
from mpiepm.engine.split import SplitEngine
from mpiepm.engine.step import StepEngine
from mpiepm.engine.sweep import SweepEngine
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import Observer, Setting, wanted


def engine(domain: Domain, params: Parameters, state: State) -> Engine:
    """The engine that the parameters name."""
    if isinstance(params.engine, Step):
        return StepEngine(domain, params, state)
    if isinstance(params.engine, Event):
        return ExtremalEngine(domain, params) if params.engine.dynamics == "extremal" else EventEngine(domain, params, state)
    if isinstance(params.engine, Split):
        return SplitEngine(domain, params, state)
    if isinstance(params.engine, Auto):
        return AutoEngine(domain, params, state)
    return SweepEngine(domain, params)


def observers(domain: Domain, params: Parameters, engine: Engine) -> list[Observer]:
    """The observers that the parameters ask for. Collective."""
    made: dict[str, Observer] = {}
    for kind in wanted(params):
        made[kind.name] = kind.make(Setting(domain, params, made, getattr(engine, "tracers", None)))
    return list(made.values())
