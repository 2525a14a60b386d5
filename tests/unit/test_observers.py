"""Every observer against brute force: the list of all events, and the fields kept at every stop."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from mpiepm.engine.layout import slabs
from mpiepm.models.parameters import parse
from mpiepm.models.state import Events, State
from mpiepm.observe.base import Observer, Record
from mpiepm.observe.bins import LogBins
from mpiepm.observe.clusters import cluster_numbers
from mpiepm.observe.snapshots import not_reached, unreachable
from mpiepm.simulation import Simulation

SHAPE, OVERLAP, ORIGINS, DURATION = (18, 30), 3, 5, 21.0
SITES = SHAPE[0] * SHAPE[1]


class Tape(Observer):
    """Keeps everything: events in absolute time, and the fields whenever somebody looks."""

    name = "tape"

    def __init__(self) -> None:
        self.events: list[tuple[float, int, int, float]] = []
        self.fields: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self.starts: list[float] = []
        self.state: State | None = None

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        self.starts.append(state.origin_time)
        self.state = state
        self.sample(state, 0.0, record)

    def receive(self, events: Events) -> None:
        assert self.state is not None
        stability = np.zeros(len(events)) if events.stability is None else events.stability
        table = zip(events.time + self.state.origin_time, events.row, events.column, stability, strict=True)
        self.events += [(float(t), int(i), int(j), float(x)) for t, i, j, x in table]

    def sample(self, state: State, lag: float, record: Record) -> None:
        self.fields[round(state.origin_time + state.time, 9)] = state.stress.copy(), state.plastic_strain.copy()


def watched(*overrides: str) -> tuple[Tape, dict[str, list[Any]], Simulation]:
    text = f"""
        lattice.size = {list(SHAPE)}
        model.temperature = 0.1
        engine.name = "event"
        [run]
        equilibrate = {{ events_per_site = 1 }}
        origins = {ORIGINS}
        overlap = {OVERLAP}
        origin_duration = {DURATION}
        [output]
        lags.per_decade = 5
        correlations = {{ wave_number = 2.0 }}
        four_point = {{ per_decade = 5 }}
        clusters = {{ per_decade = 5 }}
        avalanches.gaps = [0.005, 0.02]
        waiting_times = true
        event_counts = true
    """
    params = parse(text, overrides)
    simulation = Simulation(slabs(params), params)
    tape = Tape()
    tape.schedule = next(o.schedule for o in simulation.observers if o.name == "correlations")
    simulation.observers.append(tape)
    records: dict[str, list[Any]] = {}
    while not simulation.finished:
        simulation.step(np.inf, lambda name, value: records.setdefault(name, []).append(np.array(value)))
    return tape, records, simulation


@pytest.fixture(scope="module")
def run() -> tuple[Tape, dict[str, list[Any]], Simulation]:
    return watched()


def first_times(tape: Tape, origin: int) -> np.ndarray:
    start = tape.starts[origin + 1]
    first = np.full(SHAPE, np.inf)
    for time, i, j, _ in tape.events:
        if start < time <= start + DURATION:
            first[i, j] = min(first[i, j], time - start)
    return first


def test_overlapping_origins(run: tuple[Tape, dict[str, list[Any]], Simulation]) -> None:
    tape, records, simulation = run
    assert np.allclose(np.diff(tape.starts)[1:], DURATION / OVERLAP)
    assert len(tape.starts) == 1 + ORIGINS + OVERLAP - 1
    assert np.allclose(records["origins/time"], tape.starts[1 : 1 + ORIGINS])
    lags = simulation.persistence.schedule.up_to(DURATION)
    assert len(records["persistence/value"]) == ORIGINS
    for origin, (value, stored) in enumerate(
        zip(records["persistence/value"], records["origins/first_event_time"], strict=True)
    ):
        first = first_times(tape, origin)
        assert np.allclose(stored, first, rtol=1e-6)
        assert np.array_equal(value, [(first > lag).mean() for lag in lags])


def test_correlations(run: tuple[Tape, dict[str, list[Any]], Simulation]) -> None:
    tape, records, simulation = run
    lags = simulation.persistence.schedule.up_to(DURATION)
    for origin in range(ORIGINS):
        start = tape.starts[origin + 1]
        stress_0, strain_0 = tape.fields[round(start, 9)]
        later = [tape.fields[round(start + lag, 9)] for lag in lags]
        assert np.allclose(records["correlations/stress_product"][origin], [(s * stress_0).mean() for s, _ in later])
        assert np.allclose(records["correlations/plastic"][origin], [np.cos(2 * (g - strain_0)).mean() for _, g in later])
        assert np.isclose(records["correlations/stress_square"][origin], (stress_0**2).mean())


def test_four_point_structure_factor(run: tuple[Tape, dict[str, list[Any]], Simulation]) -> None:
    tape, records, simulation = run
    lags = simulation.persistence.schedule.up_to(DURATION)
    n = max(SHAPE)
    frequencies = [2 * np.pi * np.fft.fftfreq(length) for length in SHAPE]
    q = np.hypot(*np.meshgrid(*frequencies, indexing="ij"))
    shell = np.rint(q * n / (2 * np.pi)).astype(int)
    for origin, k in itertools.product(range(ORIGINS), (3, 7, len(lags) - 1)):
        mobile = first_times(tape, origin) > lags[k]
        power = np.abs(np.fft.fft2(mobile - mobile.mean())) ** 2 / SITES
        expected = [power[shell == s].mean() for s in range(1, n // 2 + 1)]
        assert np.allclose(records["four_point/structure_factor"][origin][k], expected)


def test_clusters(run: tuple[Tape, dict[str, list[Any]], Simulation]) -> None:
    tape, records, simulation = run
    lags = simulation.persistence.schedule.up_to(DURATION)
    for k in (2, 6, 9):
        mobile = first_times(tape, 1) <= lags[k]
        sizes = np.repeat(*cluster_numbers(simulation.domain, mobile))
        assert sizes.sum() == mobile.sum()
        # on a lattice of 3 x 3 copies every cluster appears nine times, cut only at the border: the largest ones are whole
        labels, _ = ndimage.label(np.tile(mobile, (3, 3)))
        middle = labels[SHAPE[0] : 2 * SHAPE[0], SHAPE[1] : 2 * SHAPE[1]]
        whole = [
            len({(i % SHAPE[0], j % SHAPE[1]) for i, j in np.argwhere(labels == label)})
            for label in np.unique(middle[middle > 0])
        ]
        assert records["clusters/largest"][1][k] == max(whole) == sizes[-1]
        assert np.isclose(records["clusters/mean_size"][1][k], (sizes**2).sum() / sizes.sum())


def test_waiting_times_and_event_counts(run: tuple[Tape, dict[str, list[Any]], Simulation]) -> None:
    tape, records, _ = run
    edges = LogBins(-6, 18, 8).edges
    last: dict[tuple[int, int], float] = {}
    waits: list[list[float]] = [[] for _ in range(ORIGINS)]
    counts = np.zeros((ORIGINS, *SHAPE), int)
    starts = [*tape.starts[1:], np.inf]
    for time, i, j, _ in tape.events:
        if time <= starts[0]:
            continue
        origin = int(np.searchsorted(starts, time)) - 1
        if origin < ORIGINS:
            counts[origin, i, j] += 1
            if (i, j) in last:
                waits[origin].append(time - last[i, j])
        last[i, j] = time
    assert sum(len(w) for w in waits) > 1000
    for origin in range(ORIGINS):
        assert np.array_equal(records["waiting_times/exchange"][origin], np.histogram(waits[origin], edges)[0])
        assert np.array_equal(records["origins/event_count"][origin], counts[origin])


def avalanches_of(events: list[tuple[float, int, int, float]], gap: float, threshold: float) -> list[list[Any]]:
    found: list[list[Any]] = [[]]
    for before, event in itertools.pairwise([(-np.inf, 0, 0, 0.0), *events]):
        if event[0] - before[0] > gap or event[3] >= threshold:
            found.append([])
        found[-1].append(event)
    return [a for a in found if a]


def check_avalanches(tape: Tape, records: dict[str, list[Any]], criterion: int, gap: float, threshold: float) -> None:
    starts = [*tape.starts[1:], np.inf]
    events = sorted(e for e in tape.events if e[0] > starts[0])
    found = avalanches_of(events, gap, threshold)
    seen = 0 if events[0][0] - starts[0] > gap or events[0][3] >= threshold else 1  # the first may have begun before
    moments = np.zeros((ORIGINS, 5))
    extent = np.zeros(ORIGINS)
    for avalanche, following in itertools.pairwise(found[seen:]):
        origin = int(np.searchsorted(starts, following[0][0])) - 1  # it ends with the event that is not its own
        if origin >= ORIGINS:
            break
        size = len(avalanche)
        moments[origin] += [1, size, size**2, size**3, 0]
        moments[origin, 4] = max(moments[origin, 4], size)
        place = np.array([[i, j] for _, i, j, _ in avalanche], float)
        shift = (place - place[0] + np.array(SHAPE) // 2) % SHAPE - np.array(SHAPE) // 2
        extent[origin] += np.sqrt(((shift - shift.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert moments[:, 4].max() > 3
    assert np.array_equal(np.array(records["avalanches/moments"])[:, criterion], moments)
    assert np.allclose(np.array(records["avalanches/extent"])[:, criterion].sum(axis=1), extent)
    assert np.array_equal(np.array(records["avalanches/number"])[:, criterion].sum(axis=1), moments[:, 0])


@pytest.mark.parametrize(("criterion", "gap"), [(0, 0.005), (1, 0.02)])
def test_avalanches_by_gap(run: tuple[Tape, dict[str, list[Any]], Simulation], criterion: int, gap: float) -> None:
    check_avalanches(run[0], run[1], criterion, gap, np.inf)


def test_avalanches_by_threshold() -> None:
    tape, records, _ = watched(
        "model.temperature=0", "engine.dynamics=extremal", "run.origin_duration=1500", "output.avalanches.thresholds=[0.2]",
        "output.avalanches.gaps=[]",
    )
    check_avalanches(tape, records, 0, np.inf, 0.2)


@pytest.mark.parametrize(("duration", "overlap"), [(1000.0, 3), (100.0, 13), (0.05, 1)])
def test_all_observers_agree_on_the_lags(duration: float, overlap: int) -> None:
    # without elasticity and at a low temperature hardly anything happens, so a long run is short
    _, records, simulation = watched(
        f"run.origin_duration={duration}", f"run.overlap={overlap}", "output.lags.per_decade=16", "model.temperature=0.02",
        "run.origins=2", "run.equilibrate={time=1.0}", "model.elasticity=false", "output.four_point.per_decade=16",
    )  # fmt: skip
    lags = len(simulation.persistence.constants()["persistence/lag"])
    for name in ("persistence/value", "correlations/plastic", "four_point/structure_factor"):
        assert [len(record) for record in records[name]] == [lags] * 2


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_resumed_run_knows_what_was_longest(seed: int) -> None:
    text = "model.temperature = 0.1"
    options = ["lattice.size=[8, 12]", "run.stop_persistence=0.1", "run.origins=5", "engine.name=event", f"run.seed={seed}",
               "output.correlations={}", "output.four_point={}", "output.clusters={}"]  # fmt: skip
    params = parse(text, options)
    simulation = Simulation(slabs(params), params)
    resumed: Simulation | None = None
    while not simulation.finished:
        if simulation.phases.origin == 3 and resumed is None:
            resumed = Simulation(slabs(params), params)
            for name, part in resumed.parts.items():
                scalars, fields = simulation.parts[name].save()
                part.restore(json.loads(json.dumps(scalars)), {key: field.copy() for key, field in fields.items()})
        simulation.step(np.inf, lambda name, value: None)
    assert resumed is not None
    while not resumed.finished:
        resumed.step(np.inf, lambda name, value: None)
    assert np.array_equal(resumed.state.stress, simulation.state.stress)
    for one, other in zip(simulation.observers, resumed.observers, strict=True):
        for name, values in one.constants().items():
            assert np.array_equal(values, other.constants()[name], equal_nan=True), name


def test_looking_does_not_change_when_the_equilibration_ends() -> None:
    ends = []
    for snapshots in ("[]", "[1.2, 1.5]", "[2.9]"):
        params = parse(
            "model.temperature = 0.1",
            ["lattice.size=[8, 12]", "run.equilibrate.events_per_site=1", f"output.snapshots={snapshots}", "run.origins=1",
             "engine.name=event"],
        )  # fmt: skip
        simulation = Simulation(slabs(params), params)
        while simulation.phases.origin < 0:
            simulation.step(np.inf, lambda name, value: None)
        ends.append((simulation.state.origin_time, simulation.spacing))
    assert ends[0] == ends[1] == ends[2]


def test_the_duration_of_origins_follows_the_yield_rate() -> None:
    params = parse("model.temperature = 0.1", [f"lattice.size={list(SHAPE)}", "run.origins=2", "engine.name=event"])
    simulation = Simulation(slabs(params), params)
    stops: list[tuple[float, int]] = [(0.0, 0)]
    while simulation.phases.origin < 0:
        simulation.step(np.inf, lambda name, value: None)
        stops.append((simulation.state.origin_time + simulation.state.time, simulation.state.events))
    assert simulation.spacing is not None
    half = next(stop for stop in stops if 2 * stop[1] >= stops[-1][1])
    expected = 6 * SITES * (stops[-1][0] - half[0]) / (stops[-1][1] - half[1])
    assert simulation.spacing == pytest.approx(expected)


@pytest.mark.parametrize(
    ("overrides", "unreached", "given"),
    [
        (["run.origin_duration=100"], [], ""),
        (["run.origin_duration=99"], [100], "run.origin_duration = 99, so an origin stores lags up to 99"),
        (["run.origin_duration=99.97", "engine.window=0.05"], [], ""),  # the last window ends at 100
        (["run.origin_duration=100", "run.overlap=3"], [50, 100], "run.overlap = 3, so an origin stores lags up to 33.35"),
        (["run.stop_persistence=0.1"], [], ""),
        (["model.name=ferrero", "run={equilibrate={time=5}, duration=50}"], [100], "run.duration = 50"),
    ],
)
def test_lags_that_no_origin_can_reach_are_known_before(overrides: list[str], unreached: list[float], given: str) -> None:
    lines = unreachable(parse("model.temperature = 0.1", [*overrides, "output.snapshots=[100, 0, 50]"]))
    assert len(lines) == len(unreached)
    for line, lag in zip(lines, unreached, strict=True):
        assert line.startswith(f"output.snapshots: lag {lag} will not be stored: ")
        assert given in line


def test_lags_that_some_origins_did_not_reach() -> None:
    assert not_reached([0.0, 5.0], [5.0, 6.0], "sweeps") == []
    assert not_reached([9.0, 5.0], [4.0, 6.0], "tau") == [
        "lag 5 was reached by only 1 of 2 origins: the longest lasts 6 tau",
        "lag 9 was reached by no origin: the longest lasts 6 tau"
    ]  # fmt: skip
    assert not_reached([9.0], [4.0], "tau") == ["lag 9 was reached by no origin: the only one lasts 4 tau"]
