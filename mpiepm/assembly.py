"""What a run is put together from: the state it begins with, the engine and the observers that its parameters ask for."""


from mpiepm.core.engine_sections import Auto, Event, Split, Step
from mpiepm.core.schedule import Every, LogSpaced, Schedule
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
from mpiepm.observe.activity import ActivitySeries
from mpiepm.observe.avalanches import Avalanches
from mpiepm.observe.base import Observer
from mpiepm.observe.clusters import Clusters
from mpiepm.observe.correlations import Correlations
from mpiepm.observe.event_counts import EventCounts
from mpiepm.observe.four_point import FourPoint
from mpiepm.observe.histogram import StressHistogram
from mpiepm.observe.persistence import Persistence
from mpiepm.observe.series import Origins, Series
from mpiepm.observe.snapshots import Snapshots
from mpiepm.observe.tracers import Trajectories
from mpiepm.observe.waiting_times import WaitingTimes


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


def observers(domain: Domain, params: Parameters) -> list[Observer]:
    """The observers that the parameters ask for; those that look at the maps of Persistence come after it. Collective."""
    output, overlap = params.output, params.run.overlap
    lags = LogSpaced(output.lags.first, output.lags.per_decade)
    short = params.engine.extremal or params.model.single_precision_suffices()  # extremal dynamics counts events
    maps = ("f4" if short else "f8") if output.first_event_maps else None
    persistence = Persistence(domain, lags, overlap=overlap, maps=maps)
    found: list[Observer] = [
        persistence,
        Origins(),
        Series(domain, lags),
        StressHistogram(domain, lags, output.histogram.bins, output.histogram.limit),
    ]
    if output.snapshots:
        found.append(Snapshots(output.snapshots, output.snapshot_origins, persistence))
    if output.correlations:
        found.append(Correlations(domain, lags, overlap=overlap, wave_number=output.correlations.wave_number))
    if output.four_point:
        found.append(FourPoint(domain, LogSpaced(output.lags.first, output.four_point.per_decade), persistence))
    if output.clusters:
        found.append(Clusters(domain, LogSpaced(output.lags.first, output.clusters.per_decade), persistence))
    if output.avalanches:
        found.append(Avalanches(domain, output.avalanches.gaps, output.avalanches.thresholds))
    if output.waiting_times:
        found.append(WaitingTimes(domain))
    if output.event_counts:
        found.append(EventCounts(domain))
    return found


def stationary_observers(domain: Domain, params: Parameters, engine: StepEngine) -> list[Observer]:
    """The observers of one long stationary run. Collective."""
    output, often = params.output, Every(params.output.interval)
    found: list[Observer] = [
        Origins(),
        ActivitySeries(domain, often, params.engine.resolution),
        StressHistogram(domain, often, output.histogram.bins, output.histogram.limit),
    ]
    if output.snapshots:
        found.append(Snapshots(output.snapshots, 1, None))
    if output.correlations:  # lags are rounded up to steps of 0.1 tau or so: none much shorter than 1
        found.append(Correlations(domain, LogSpaced(1.0, 16), overlap=1, wave_number=output.correlations.wave_number))
    if output.waiting_times:
        found.append(WaitingTimes(domain))
    if output.event_counts:
        found.append(EventCounts(domain))
    if params.tracers and engine.tracers:
        frames = params.tracers.frames
        schedule: Schedule = LogSpaced(frames.first, frames.per_decade) if frames else Every(params.tracers.interval or 1.0)
        found.append(Trajectories(engine.tracers, schedule))
    return found
