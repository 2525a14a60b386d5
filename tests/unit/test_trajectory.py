"""Which parameters identify a trajectory, and what a run may be resumed with."""

from typing import get_args

import pytest
from pydantic import BaseModel

from mpiepm.core.trajectory import Change, Reached, differences, is_longer, refusals
from mpiepm.models.epmq import Epmq
from mpiepm.models.ferrero import Ferrero
from mpiepm.models.parameters import parameters_of, parse

EPMQ = "model.temperature = 0.1\n"
FERRERO = "model = { name = 'ferrero', temperature = 0.1 }\nrun = { duration = 9.0, equilibrate = { time = 1.0 } }\n"
OUTPUT = ("correlations", "event_counts", "histogram", "waiting_times")


def changeable(section: type[BaseModel], prefix: str = "") -> dict[str, Change]:
    """All keys that may change, and when."""
    found = {}
    for name, field in section.model_fields.items():
        for mark in (mark for mark in field.metadata if isinstance(mark, Change)):
            found[prefix + name] = mark
        inner = [c for c in (field.annotation, *get_args(field.annotation)) if isinstance(c, type) and issubclass(c, BaseModel)]
        for candidate in inner:
            found |= changeable(candidate, f"{prefix}{name}.")
    return found


def test_everything_but_these_keys_identifies_a_trajectory() -> None:
    always = {f"output.{key}": Change.ALWAYS for key in ("checkpoint_minutes", "keep_state", "snapshots")}
    always |= {"imports": Change.ALWAYS}
    shared = always | {f"output.{key}": Change.EQUILIBRATING for key in OUTPUT}
    maps = ("avalanches", "clusters", "first_event_maps", "four_point")
    assert changeable(parameters_of(Ferrero)) == shared | {"run.duration": Change.LENGTH}
    assert changeable(parameters_of(Epmq)) == {
        **shared, "run.origins": Change.LENGTH, "output.snapshot_origins": Change.ALWAYS,
        **{f"output.{key}": Change.EQUILIBRATING for key in maps},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "override", "reached", "refused"),
    [
        (EPMQ, "run.seed=2", None, ["run.seed is 1 there and 2 here"]),
        (EPMQ, "lattice.size=[9, 14]", None, ["lattice.size is [256, 256] there and [9, 14] here"]),
        (EPMQ, "engine.name=split", None, ["engine.name is 'sweep' there and 'split' here"]),
        (EPMQ, "run.equilibrate={time=3.0}", None,
         ["run.equilibrate.events_per_site is 10.0 there and not given here",
          "run.equilibrate.time is not given there and 3.0 here"]),
        (EPMQ, "output.checkpoint_minutes=60.0", Reached(7, 1.0), []),
        (EPMQ, "output.snapshots=[1.0]", Reached(7, 1.0), []),
        (EPMQ, "run.origins=40", Reached(20, 1.0), []),
        (EPMQ, "run.origins=40", Reached(21, 1.0), ["run.origins is 20 there and 40 here, where 21 is done"]),
        (EPMQ, "run.origins=7", Reached(7, 1.0), []),
        (EPMQ, "run.origins=6", Reached(7, 1.0), ["run.origins is 20 there and 6 here, where 7 is done"]),
        (EPMQ, "output.clusters={}", None, []),
        (EPMQ, "output.clusters={}", Reached(0, 0.0), []),
        (EPMQ, "output.clusters={}", Reached(1, 0.0),
         ["output.clusters is not given there and {'per_decade': 4} here, which may change only before the first "
          "origin begins"]),
        (FERRERO, "run.duration=20.0", Reached(1, 9.1), []),
        (FERRERO, "run.duration=5.0", Reached(1, 4.9), []),
        (FERRERO, "run.duration=5.0", Reached(1, 5.1), ["run.duration is 9.0 there and 5.0 here, where 5.1 is done"]),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, override: str, reached: Reached | None, refused: list[str]) -> None:
    assert refusals(parse(text), parse(text, [override]), reached) == refused


def test_another_model_is_one_difference() -> None:
    assert list(map(str, differences(parse(EPMQ), parse(FERRERO)))) == ["model.name is 'epmq' there and 'ferrero' here"]


def test_snapshots_that_were_taken_stay() -> None:
    some = parse(EPMQ, ["output.snapshots=[1.0]"])
    assert refusals(some, parse(EPMQ), Reached(0, 0.0)) == []
    assert refusals(some, parse(EPMQ), Reached(1, 0.0)) == [
        "output.snapshots is [1.0] there and [] here, which may change only before the first origin begins"
    ]


def test_longer() -> None:
    assert is_longer(parse(EPMQ, ["run.origins=21"]), parse(EPMQ))
    assert not is_longer(parse(EPMQ, ["run.origins=19", "output.checkpoint_minutes=3.0"]), parse(EPMQ))
    assert is_longer(parse(FERRERO, ["run.duration=9.5"]), parse(FERRERO))
