"""Campaign files: what they expand to, how points are found again, and what is said of wrong ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mpiepm.arguments import parser
from mpiepm.campaign import command, cost, grid, queue, status, submit, tables, values
from mpiepm.campaign.collect import actual_cost
from mpiepm.campaign.grid import Campaign
from mpiepm.campaign.site import Site
from mpiepm.campaign.speed import Machine, split_parts
from mpiepm.cli import main
from mpiepm.core.amounts import in_bytes
from mpiepm.core.engine_sections import Split
from mpiepm.core.faults import ParameterError
from mpiepm.io import rundir
from mpiepm.models.parameters import Parameters, from_values, load
from mpiepm.observe.maps import Maps

ROOT = Path(__file__).parents[2]
FILE = """
name = "test"
[base]
run = { origins = "= max(2, 4096 / L ** 2)", origin_duration = { by = "T", "0.013" = 4.6e5, "< 0.013" = 1.2e7, else = "omit" } }
engine.name = { by = "L", "<= 64" = "event", else = "split" }
engine.radius = { by = "L", "<= 64" = "omit", else = 8 }
[resources]
ranks = { by = "L", ">= 128" = 2, else = 1 }
walltime = "= L / 64"
[packing]
cores = 3
[[grid]]
over = { L = [32, 128], T = [0.02, 0.013, 0.01], seed = 2 }
"""


def read(tmp_path: Path, text: str = FILE) -> Campaign:
    path = tmp_path / "campaign.toml"
    path.write_text(text)
    return grid.read(path, tmp_path / "out")


def test_points_of_a_grid(tmp_path: Path) -> None:
    campaign = read(tmp_path)
    points = {point.name: point for point in campaign.points}
    assert len(points) == 12
    small, large = points["L=32/T=0.013/seed=2"], points["L=128/T=0.02/seed=1"]
    assert isinstance(small.params, Parameters)
    assert isinstance(large.params, Parameters)
    assert small.folder == tmp_path / "out" / "L=32" / "T=0.013" / "seed=2"
    assert (small.params.lattice.size, small.params.run.seed, small.params.run.origins) == ((32, 32), 2, 4)
    assert (small.params.engine.name, small.params.run.origin_duration) == ("event", 4.6e5)
    assert isinstance(large.params.engine, Split)
    assert (large.params.engine.radius, large.params.run.origin_events_per_site, large.params.run.origins) == (8, 6.0, 2)
    assert (small.resources.ranks, small.resources.walltime) == (1, 1800.0)
    assert (large.resources.ranks, large.resources.walltime) == (2, 7200.0)


def test_an_axis_may_be_written_by_its_dotted_name(tmp_path: Path) -> None:
    """Only the seed is averaged over, however it is written."""
    dotted = FILE.replace("T = [0.02, 0.013, 0.01], seed = 2", "model.temperature = [0.02, 0.013, 0.01], run.seed = 2")
    assert [p.name for p in read(tmp_path, dotted).points] == [p.name for p in read(tmp_path).points]
    with pytest.raises(ParameterError, match=r"over.run.seed: is seed, which is given already"):
        read(tmp_path, FILE.replace("seed = 2", "seed = 2, run.seed = 2"))


def test_what_a_grid_sets_lies_over_the_base(tmp_path: Path) -> None:
    text = """
    [base]
    engine = { name = "sweep", window = 0.1 }
    run = { equilibrate = { events_per_site = 3 }, stop_persistence = 0.1 }
    output.correlations = {}
    [[grid]]
    name = "a"
    set.L = 64
    set.run = { equilibrate.time = 50, origin_duration = 9 }
    set.engine.name = "split"
    set.output.correlations.wave_number = 2
    over = { T = [0.1], run.overlap = [1, 2] }
    [[grid]]
    over = { T = [0.1], run.equilibrate = [{ time = 7 }], lattice.size = [[32, 48]] }
    """
    first, second, third = read(tmp_path, text).points
    assert [first.name, second.name] == ["a/T=0.1/run.overlap=1", "a/T=0.1/run.overlap=2"]
    assert third.name == "T=0.1/run.equilibrate.time=7/lattice.size=32x48"
    assert isinstance(second.params, Parameters)
    assert isinstance(third.params, Parameters)
    assert second.params.engine == Split()
    assert (second.params.run.equilibrate.time, second.params.run.equilibrate.events_per_site) == (50, None)
    assert (second.params.run.origin_duration, second.params.run.stop_persistence, second.params.run.overlap) == (9, None, 2)
    assert second.params.output.correlations
    assert second.params.output.correlations.wave_number == 2
    assert (third.params.engine.name, third.params.lattice.size) == ("sweep", (32, 48))
    assert (third.params.run.equilibrate.time, third.params.run.stop_persistence) == (7, 0.1)


ENGINES = """
[base]
model.temperature = 0.02
{base}
[[grid]]
over = {{ L = [64, 128], {over} seed = 1 }}
set = {{ {set} }}
"""


def engines(tmp_path: Path, base: str, grid: str = "", over: str = "") -> dict[str, dict[str, object]]:
    """The keys of [engine] that are not the default, by point."""
    found = {}
    for point in read(tmp_path, ENGINES.format(base=base, set=grid, over=over)).points:
        engine = point.params.engine
        found[point.name.removesuffix("/seed=1")] = engine.model_dump(exclude_defaults=True) | {"name": engine.name}
    return found


def test_no_key_of_an_engine_is_lost(tmp_path: Path) -> None:
    """Wherever its name is from, and in whatever order they stand."""
    chosen = 'engine.name = { by = "L", "64" = "event", else = "split" }'
    split = 'engine.name = "split"'
    event, slow = {"name": "event"}, {"name": "split", "window": 3.0}
    window = 'engine.window = { by = "L", "64" = "omit", else = 3 }'
    for order in (f"{chosen}\n{window}", f"{window}\n{chosen}"):
        assert engines(tmp_path, order) == {"L=64": event, "L=128": slow}
    assert engines(tmp_path, chosen, window) == {"L=64": event, "L=128": slow}
    assert engines(tmp_path, split, "engine.window = 3") == {"L=64": slow, "L=128": slow}
    assert engines(tmp_path, "engine.window = 3", split) == {"L=64": slow, "L=128": slow}
    assert engines(tmp_path, f"{split}\nengine.window = 3", chosen) == {"L=64": event, "L=128": slow}
    assert engines(tmp_path, f"{chosen}\n{window}", split) == {"L=64": {"name": "split"}, "L=128": slow}
    whole = 'engine = { by = "L", "64" = { name = "event" }, else = { name = "split", radius = "= L / 16" } }'
    assert engines(tmp_path, whole, window) == {"L=64": event, "L=128": slow | {"radius": 8}}
    assert engines(tmp_path, f"{split}\nengine.window = 3", whole) == {"L=64": event, "L=128": slow | {"radius": 8}}
    both = engines(tmp_path, split, "", "engine.window = [2.0, 3.0],")
    assert [engine["window"] for engine in both.values()] == [2.0, 3.0, 2.0, 3.0]
    for base, text in ((chosen, "engine.window = 3"), (split, 'engine.name = "event", engine.window = 3')):
        with pytest.raises(ParameterError, match=r"L=64/seed=1: engine.window: unknown key; it belongs to engine.name = "):
            engines(tmp_path, base, text)
    with pytest.raises(ParameterError, match="engine: has no entry for L = 64, and no else"):
        engines(tmp_path, 'engine = { by = "L", "128" = { name = "split" } }', "engine.window = 3")


def test_another_engine_brings_its_own_keys(tmp_path: Path) -> None:
    """Those of the engine that was named below fall away; not those that stand beside the new name, or in the same grid."""
    sweep = 'engine = { name = "sweep", window = 0.1, harmonics = 6 }'
    assert engines(tmp_path, sweep, 'engine.name = "split", engine.radius = 8')["L=128"] == {"name": "split", "radius": 8}
    found = engines(tmp_path, sweep, "engine.window = 3", 'engine.name = ["sweep", "split"],')
    assert found["L=128/engine.name=split"] == {"name": "split", "window": 3.0}
    assert found["L=128/engine.name=sweep"] == {"name": "sweep", "window": 3.0, "harmonics": 6}
    only = 'engine.name = { by = "L", "128" = "split" }\nengine.radius = { by = "L", "128" = 8, else = "omit" }'
    assert engines(tmp_path, only, 'engine.name = "sweep"') == {"L=64": {"name": "sweep"}, "L=128": {"name": "sweep"}}


def test_what_is_omitted_replaces_nothing_else(tmp_path: Path) -> None:
    text = """
    [base]
    run.stop_persistence = 0.1
    output.four_point.per_decade = 8
    [[grid]]
    set.run.origin_duration = { by = "T", "0.1" = 7, else = "omit" }
    set.output.four_point = { by = "T", "0.1" = "omit", else = { first = 1 } }
    set.model = { by = "T", "0.1" = { barrier_exponent = "= 10 * T" }, else = "omit" }
    over = { T = [0.1, 0.2], seed = 1 }
    """
    with pytest.raises(ParameterError, match=r"T=0.2/seed=1: output.four_point.first: unknown key"):
        read(tmp_path, text)
    hot, cold = read(tmp_path, text.replace("first = 1", "per_decade = 2")).points
    assert isinstance(hot.params, Parameters)
    assert isinstance(cold.params, Parameters)
    assert (hot.params.run.origin_duration, hot.params.run.stop_persistence) == (7.0, None)
    assert (cold.params.run.origin_duration, cold.params.run.stop_persistence) == (None, 0.1)
    assert (hot.params.output.four_point, cold.params.output.four_point) == (None, Maps(per_decade=2))
    assert hot.params.model.barrier_exponent == 1.0


def test_points_are_found_again_after_the_file_was_edited(tmp_path: Path) -> None:
    for point in read(tmp_path).points:
        rundir.plant(point.folder, point.params)
    added = read(tmp_path, FILE.replace("[32, 128]", "[32, 48, 128]"))
    assert [(point.folder / "params.toml").exists() for point in added.points].count(False) == 6
    assert added.strays == ()
    renamed = read(tmp_path, FILE.replace("over = { L", 'name = "sizes"\nover = { L'))
    assert {point.name.split("/")[0] for point in renamed.points} == {"sizes"}
    assert [point.folder for point in renamed.points] == [point.folder for point in read(tmp_path).points]
    fewer = read(tmp_path, FILE.replace("[32, 128]", "[32]"))
    assert (len(fewer.points), len(fewer.strays)) == (6, 6)


def test_runs_in_run_directories_and_behind_links_are_found(tmp_path: Path) -> None:
    text = "[base]\nmodel.temperature = 0.1\nrun.origins = 4\n[[grid]]\nover = { L = [16] }\n"
    inner = text.replace("L = [16]", "L = [16], seed = [2, 3]")
    for written in (text, inner):
        for point in read(tmp_path, written).points:
            rundir.plant(point.folder, point.params)
    out = tmp_path / "out"
    folders = [out / "L=16" / "seed=2", out / "L=16" / "seed=3"]
    for renamed in (inner, inner.replace("over", 'name = "moved"\nover')):
        campaign = read(tmp_path, renamed)
        assert [point.folder for point in campaign.points] == folders
        assert campaign.strays == (out / "L=16",)
    assert [point.conflict for point in read(tmp_path, inner.replace("origins = 4", "origins = 5")).points] == ["", ""]

    twin = out / "a" / "twin"
    rundir.plant(twin, campaign.points[0].params)
    (twin / "archive.h5").touch()
    assert read(tmp_path, inner).strays == (out / "L=16", twin)
    moved = read(tmp_path, inner.replace("over", 'name = "moved"\nover'))
    assert (moved.points[0].folder, moved.strays) == (twin, (out / "L=16", folders[0]))  # that is finished
    shutil.rmtree(twin)

    (out / "L=16").rename(tmp_path / "elsewhere")
    (out / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(out)
    campaign = read(tmp_path, inner)
    assert [point.folder.resolve() for point in campaign.points] == [tmp_path / "elsewhere" / f"seed={k}" for k in (2, 3)]
    assert [folder.resolve() for folder in campaign.strays] == [tmp_path / "elsewhere"]
    (out / "L=16").symlink_to("linked")
    campaign = read(tmp_path, inner)
    assert [point.folder for point in campaign.points] == folders
    assert [folder.resolve() for folder in campaign.strays] == [tmp_path / "elsewhere"]


def test_a_point_whose_directory_holds_another_run_is_refused_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = read(tmp_path).points
    for point in points[:2]:
        rundir.plant(point.folder, point.params)
    (points[1].folder / "params.toml").write_text(points[1].params.to_toml().replace("overlap = 1", "overlap = 2"))
    before = (points[1].folder / "params.toml").read_bytes()
    text = FILE.replace("[base]", "[base]\noutput.checkpoint_minutes = 60.0")
    campaign = read(tmp_path, text)
    said = f"{points[1].folder} holds a run with other parameters: run.overlap is 2 there and 1 here"
    assert [point.conflict for point in campaign.points] == ["", said] + [""] * 10
    states = status.survey(campaign, {})
    assert states[points[0].name].state == "missing"
    assert states[points[1].name] == status.Status("failed", said)
    with pytest.raises(SystemExit) as end:
        main(["campaign", "status", str(tmp_path / "campaign.toml"), "--out", str(tmp_path / "out")])
    assert end.value.code == 0
    assert said in capsys.readouterr().out

    rundir.plant(campaign.points[0].folder, campaign.points[0].params)
    assert load(points[0].folder / "params.toml").output.checkpoint_minutes == 60.0
    with pytest.raises(ParameterError, match=r"run.overlap is 2 there and 1 here"):
        rundir.plant(campaign.points[1].folder, campaign.points[1].params)
    assert (points[1].folder / "params.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 2", "sed = 2", r"over.sed = 2: must be a list of values"),
        ("seed = 2", "seed = []", r"over.seed = \[\]: must be a list of values, or a number of seeds"),
        ('"< 0.013"', '"below 0.013"', "run.origin_duration: 'below 0.013' must be a number, or one after"),
        (', else = "omit"', "", "run.origin_duration: has no entry for T = 0.02, and no else"),
        ('by = "T"', 'by = "TT"', "by = 'TT' must be one of L, T, seed"),
        ("4096 / L", "4096 / M", "'= max.*' cannot be computed: M must be one of L, T, seed"),
        ("4096 / L ** 2", "().__class__", "is not arithmetic"),
        ("4096 / L ** 2", "9.0 ** 9 ** 9 ** 9", "cannot be computed"),
        ("4096 / L ** 2", "2.5", "L=32/T=0.02/seed=1: run.origins = 2.5: must be"),
        ("[[grid]]", "[[grid]]\nnam = 1", r"grid\[0\].nam: unknown key; did you mean name\?"),
        ("over = {", "set.model.temperatur = 1\nover = {", "model.temperatur: unknown key; did you mean temperature"),
        ("[resources]", "[resources]\nnodes = 3", r"resources.nodes = 3, ranks = 1: a node needs a rank"),
        ("= L / 64", "24 hours", "resources.walltime = '24 hours': must be above 0, and like 90s"),
        ('else = 1 }', 'else = 40 }', "resources.ranks = 40: must be at most 17"),
        ("[base]", "[base", "not valid TOML"),
        ("[packing]", "[packing]\ncore = 2", r"packing.core: unknown key; did you mean cores\?"),
        ('name = "test"', 'name = "a/b"', "name = 'a/b': must be letters, digits and "),
        ('name = "test"', 'name = ".."', "name = '..': must be letters, .* not dots alone"),
        ("[[grid]]", '[[grid]]\nname = "."', r"grid\[0\].name = '.': must be letters, .* not dots alone"),
        ("seed = 2", "seed = 0", "over.seed = 0: must be a list of values, or a number of seeds, at least 1"),
        ("seed = 2", "seed = true", "over.seed = true: must be a list of values, or a number of seeds"),
        ("[32, 128]", '[32, "= 2 * 64"]', "over.L = '= 2 . 64': must be a value; tables and expressions go into set"),
        ("seed = 2", 'run = [{ seed = { by = "L", else = 1 } }]', "over.run = .*: must be a value; tables"),
        ("[0.02, 0.013, 0.01]", '{ by = "L", else = 0.02 }', "over.T = {.*}: must be a list of values"),
        ("else = 1 }", "else = true }", "L=32/T=0.02/seed=1: resources.ranks = true: must be a whole number of at least 1"),
        ("walltime = ", "memory = true\nwalltime =", "resources.memory = true: must be a number of GB above 0"),
        ("walltime = ", "nodes = [1]\nwalltime =", r"resources.nodes = \[1\]: must be a whole number of at least 1"),
        ('"= L / 64"', "inf", "resources.walltime = inf: must be above 0, and like 90s"),
        ('"= L / 64"', f'"{"9" * 400}:00:00"', "resources.walltime = '9*:00:00': must be above 0, and like 90s"),
        ("[resources]", "[resources]\nmemory = inf", "resources.memory = inf: must be a number of GB above 0"),
        ("[resources]", "[resources]\nmemory = nan", "resources.memory = nan: must be a number of GB above 0"),
        ("[packing]", "[packing]\nranks = 4", "packing.ranks = 4, cores = 3: ranks must be at most cores"),
        ("[packing]", "[packing]\nshorter_than = inf", "packing.shorter_than = inf: must be above 0, and like 90s"),
        ("[[grid]]", "[grid]", "grid"),
    ],
)  # fmt: skip
def test_wrong_files_are_named_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    with pytest.raises(ParameterError, match=message) as error:
        read(tmp_path, FILE.replace(old, new, 1))
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).startswith(str(tmp_path / "campaign.toml"))
    assert not (tmp_path / "out").exists()


def test_points_of_the_same_name_must_be_the_same(tmp_path: Path) -> None:
    twice = FILE + "[[grid]]\nover = { L = [32], T = [0.02], seed = 3 }\n"
    assert len(read(tmp_path, twice).points) == 13
    with pytest.raises(ParameterError, match=r"two points of this name differ, give a grid a name: run.overlap is 1 there"):
        read(tmp_path, twice + "set.run.overlap = 2\n")


def test_points_of_the_same_parameters_are_one(tmp_path: Path) -> None:
    """Whatever they are called: by other grids, other axes, or the same in another order."""
    text = "[base]\nmodel.temperature = 0.1\n"
    for grid_, over in (
        ("x", "L = [16, 32], seed = 2"), ("y", "L = [16, 64], seed = 2"), ("", "seed = 3, L = [16]"),
        ("", "lattice.size = [[16, 16]], T = [0.1], seed = 1"),
    ):  # fmt: skip
        text += f'[[grid]]\nname = "{grid_}"\nover = {{ {over} }}\n'
    points = read(tmp_path, text).points
    assert len({point.params for point in points}) == len(points) == 7
    assert [point.name for point in points[2:]] == [
        "x/L=32/seed=1", "x/L=32/seed=2", "y/L=64/seed=1", "y/L=64/seed=2", "seed=3/L=16",
    ]  # fmt: skip


def test_the_site_goes_with_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Because it decides where the runs lie; also with the job that collects them."""
    profile, file = tmp_path / "site.toml", tmp_path / "campaign.toml"
    profile.write_text(f'scratch = "{tmp_path}/scratch"')
    file.write_text(FILE)
    for action in ("plan", "run", "submit", "status", "resume", "collect", "report"):
        arguments = parser().parse_args(["campaign", action, str(file), "--site", str(profile)])
        assert arguments.site == profile
    campaign = grid.read(file, None, profile)
    assert campaign.out == tmp_path / "scratch" / "test"
    called: dict[str, str] = {}
    monkeypatch.setattr(submit, "_call", lambda options, variables: called.update(variables) or "1")
    assert submit.finish(campaign, ["7"], 60) == "1"
    assert (called["OUT"], called["MPIEPM_SITE"]) == (str(campaign.out), str(profile))
    submit.finish(read(tmp_path), ["7"], 60)
    assert called["MPIEPM_SITE"] == ""


@pytest.mark.parametrize("axis", ["lattice.size = [[64, 32]]", "run.equilibrate = [{ time = 7 }]"])
def test_no_table_by_lists_or_sections(tmp_path: Path, axis: str) -> None:
    name, value = axis.split(" = ", 1)
    text = f'[base]\nT = 0.1\nengine.name = {{ by = "{name}", else = "event" }}\n[[grid]]\nover.{axis}\n'
    with pytest.raises(ParameterError, match=rf"engine.name: by = '{name}', which is .*: must be a number or a word"):
        read(tmp_path, text.replace(f"over.{axis}", f"over = {{ '{name}' = {value} }}"))


def test_tables_and_expressions_of_any_axis(tmp_path: Path) -> None:
    """L is the side of a square with as many sites; L and T may depend on each other."""
    text = """
    [base]
    T = "= L / 800"
    engine.name = { by = "L", "16" = "event", else = "sweep" }
    run.origins = "= L"
    [[grid]]
    over = { L = [[32, 8], 24], output.waiting_times = [true, false] }
    set.run.origins = { by = "output.waiting_times", "true" = 3, else = "= L" }
    [[grid]]
    over = { seed = [1] }
    set.L = "= 16 * 2"
    [[grid]]
    name = "x"
    over = { T = [0.1], seed = [1] }
    set.L = { by = "T", "0.1" = "= 480 * T", else = 16 }
    """
    points = {point.name: point.params for point in read(tmp_path, text).points}
    assert [(p.lattice.size, p.engine.name, p.model.temperature, p.run.seed) for p in points.values()][::2] == [
        ((32, 8), "event", 0.02, 1), ((24, 24), "sweep", 0.03, 1), ((32, 32), "sweep", 0.04, 1),
    ]  # fmt: skip
    assert points["x/T=0.1/seed=1"].lattice.size == (48, 48)
    origins = [params.run.origins for params in points.values() if isinstance(params, Parameters)]
    assert origins == [3, 16, 3, 24, 32, 48]
    with pytest.raises(ParameterError, match=r"lattice.size\[0\] = 33.5: must be a whole number"):
        read(tmp_path, text.replace("= 16 * 2", "= 67 / 2"))


def test_scratch_may_be_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("NOWHERE", raising=False)
    assert Site(scratch="~/runs").folder("sizes") == Path("/home/me/runs/sizes")
    for unknown in ("~nobody-of-that-name/runs", "$NOWHERE/runs"):
        with pytest.raises(ParameterError, match=r"scratch = .* a variable or user in it is unknown; give --out"):
            Site(scratch=unknown).folder("sizes")


def test_files_where_directories_should_be(tmp_path: Path) -> None:
    file, out = tmp_path / "campaign.toml", tmp_path / "out"
    file.write_text(FILE)
    with pytest.raises(ParameterError, match=r"--out .*campaign.toml: exists and is not a directory"):
        grid.read(file, file)
    with pytest.raises(ParameterError, match=r"campaign.toml/out: Not a directory"):
        grid.read(file, file / "out")
    out.mkdir()
    (out / "L=32").touch()
    with pytest.raises(ParameterError, match=r"out/L=32/T=0.02/seed=1/params.toml: Not a directory"):
        grid.read(file, out)


def test_cold_runs_can_be_planned(tmp_path: Path) -> None:
    text = "[[grid]]\nover = { L = [64], T = [0.003, 1e-5] }\n[base]\n"
    campaign = read(tmp_path, text)
    assert all(cost.seconds > 1e9 for cost in command.costs(campaign, Machine()).values())


def test_expressions() -> None:
    axes = {"L": 64, "T": 0.02, "engine": "event"}
    results = {"2 * L": 128, "-L + 65": 1, "L if T < 0.03 else 0": 64, "ceil(log2(L) / 4)": 2, "L ** 0.5": 8}
    for text, result in results.items():
        assert values.compute("key", text, axes) == result
        assert isinstance(values.compute("key", text, axes), int)
    for text in ("engine", "__import__('os')", "L.real", "[1]", "'a'", "lambda: 1", "1 / 0", "exp(1e9)", "L and T", "(" * 500):
        with pytest.raises(ParameterError):
            values.compute("key", text, axes)


def test_status_and_collected_lists(tmp_path: Path) -> None:
    campaign = read(tmp_path)
    assert queue.jobs(campaign) == {}
    first, second, third, fourth = campaign.points[:4]
    for point in (first, second, third):
        rundir.plant(point.folder, point.params)
    (second.folder / "failed.txt").write_text("exit code 1 in job 7 on node3\nmpiepm: rank 0 of 2 failed:\nmpiepm: no space\n")
    (third.folder / "run.log").write_text("")
    (fourth.folder).mkdir()
    (fourth.folder / "failed.txt").write_text("exit code 1\n-----\n\nmpirun has detected an attempt to run as root.\nmore\n")
    waits, goes = queue.Job("7", "PENDING", "Priority", False), queue.Job("8", "RUNNING", "None", True)
    assert status.of(first).state == "missing"
    assert status.of(second) == status.Status("failed", "exit code 1 in job 7 on node3; mpiepm: no space")
    assert status.of(second, waits) == status.Status("queued", "job 7, Priority")
    assert status.of(fourth) == status.Status("failed", "exit code 1; mpirun has detected an attempt to run as root.")
    (fourth.folder / "failed.txt").unlink()
    assert status.of(third).state == "unfinished"
    assert status.of(third, goes) == status.Status("queued", "in job 8")
    assert status.of(fourth, queue.Job("9", "TIMEOUT", "", False)) == status.Status("missing", "job 9 TIMEOUT")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warning = 70000", "warning = 70000: must be at most 65535"),
        ("warning = 0", "warning = 0: must be at least 1"),
        ("factors.evnt = 1.0", r"factors.evnt: unknown key; did you mean event\?"),
        ("factors.event = 0.0", "factors.event = 0.0: must be above 0"),
        ("memory_per_node = inf", "memory_per_node = inf: must be a finite number"),
    ],
)
def test_wrong_site_profiles_are_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(ParameterError, match=rf"^{tmp_path}/site.toml: {message}$"):
        grid.load_site(tmp_path / "site.toml")


def test_factors_of_a_site(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("factors = { split = 2.0, event = 0.5 }")
    machine = grid.load_site(tmp_path / "site.toml").machine
    assert machine
    assert [machine.factor(engine) for engine in ("split", "event", "sweep")] == [2.0, 0.5, pytest.approx(1.0)]
    (tmp_path / "site.toml").write_text("[factors]")
    assert grid.load_site(tmp_path / "site.toml").machine is None


def test_batches_pack_and_keep_within_the_limit(tmp_path: Path) -> None:
    campaign = read(tmp_path)
    predicted = command.costs(campaign, Machine())
    small, *large = submit.batches(campaign, campaign.points, predicted, campaign.site, 4)[::-1]
    assert (small.request.packed, len(small.points), small.jobs, small.cores) == (True, 6, 1, 3)
    assert sorted(len(batch.points) for batch in large) == [2, 4]
    assert {batch.request.ranks for batch in large} == {2}
    with pytest.raises(ParameterError, match=r"packing.cores = 3: a node of this cluster has 2 cores"):
        submit.batches(campaign, campaign.points, predicted, campaign.site.model_copy(update={"cores_per_node": 2}), 4)


def refused(tmp_path: Path, text: str, **site: object) -> str:
    """What is said of a campaign that does not fit a site."""
    campaign = read(tmp_path, text)
    campaign = replace(campaign, site=campaign.site.model_copy(update=site))
    with pytest.raises(ParameterError) as error:
        submit.batches(campaign, campaign.points, command.costs(campaign, Machine()), campaign.site, 4)
    return str(error.value)


def test_what_does_not_fit_a_site_is_refused(tmp_path: Path) -> None:
    much = FILE.replace("[resources]", "[resources]\nmemory = 20")
    assert refused(tmp_path, much, memory_per_node=32.0) == (
        "L=32/T=0.02/seed=1: packing.cores = 3: 3 runs side by side need 60.7 GB: a node of this cluster has 32 GB"
    )
    assert "20 GB on 1 node: a node of this cluster has 16 GB" in refused(tmp_path, much, memory_per_node=16.0)
    short = FILE.replace('"= L / 64"', '"1m"')
    for warning in (60, 180):
        told = refused(tmp_path, short, warning=warning)
        assert f"resources.walltime = 60 s, warning = {warning} s of this cluster: walltime must be above warning" in told
    campaign = read(tmp_path, short)
    site = campaign.site.model_copy(update={"warning": 54})
    assert submit.batches(campaign, campaign.points, command.costs(campaign, Machine()), site, 4)[0].request.walltime == 1


def test_packed_runs_are_on_one_node(tmp_path: Path) -> None:
    text = FILE.replace("[packing]\ncores = 3", "nodes = { by = 'L', '128' = 2, else = 1 }\n[packing]\nranks = 2\ncores = 3")
    campaign = read(tmp_path, text.replace('">= 128" = 2', '">= 32" = 2').replace('shorter_than = "2h"', ""))
    wanted = submit.batches(campaign, campaign.points, command.costs(campaign, Machine()), campaign.site, 1000)
    assert {(batch.request.packed, batch.request.nodes) for batch in wanted} == {(True, 1), (False, 2)}
    assert {(batch.cores, batch.memory // batch.request.memory) for batch in wanted} == {(2, 1)}  # no room for two of them


def test_what_a_run_cost_is_in_its_archive() -> None:
    folder = ROOT / "tests" / "data" / "archive3" / "epmq"
    actual = actual_cost(folder)
    assert actual["seconds"] == 16.753
    assert actual["memory"] is None  # which runs of that time did not record
    assert actual["archive"] == (folder / "archive.h5").stat().st_size


def test_predicted_events_are_those_of_the_paper() -> None:
    """Of the runs of run/ozawa_biroli_2023: events per site as they were."""
    run = {"equilibrate": {"events_per_site": 10}, "origins": 40, "overlap": 4}
    for length, temperature, duration, there in (
        (64, 0.02, None, 77.3), (128, 0.013, 4.6e5, 86.9), (128, 0.007, 5e9, 126.0), (64, 0.005, 4.5e13, 101.1),
    ):  # fmt: skip
        origin = {} if duration is None else {"origin_duration": duration}
        lattice, model = {"size": [length, length]}, {"temperature": temperature}
        params = from_values({"lattice": lattice, "model": model, "run": {**run, **origin}})
        assert isinstance(params, Parameters)
        assert cost.events_per_site(params) == pytest.approx(there, rel=0.2)
    isolated = {"model": {"temperature": 0.06, "elasticity": False}, "run": {"equilibrate": {"time": 1e3}, "origins": 1}}
    params = from_values(isolated)
    assert isinstance(params, Parameters)
    assert 0.0 < cost.events_per_site(params) - 6.0 < 10.0


def test_split_engine_on_many_ranks() -> None:
    one, many = (sum(split_parts(16384**2, ranks, 0.02, 1652.0, Split()).values()) for ranks in (1, 256))
    assert 5e-6 < one < 20e-6
    assert 0.5 < one / many / 256 < 1.6


def test_split_engine_with_another_radius_or_at_high_activity() -> None:
    """Microseconds per event at L = 512 on one core, measured (CPU time; the core did other work as well)."""
    for radius, temperature, yield_time, there in (
        (8, 0.02, 1652.0, 12.9), (16, 0.02, 1652.0, 8.2), (24, 0.02, 1652.0, 8.3), (32, 0.02, 1652.0, 11.3),
        (8, 0.04, 58.9, 4.4), (16, 0.04, 58.9, 5.3),
    ):  # fmt: skip
        predicted = sum(split_parts(512**2, 1, temperature, yield_time, Split(radius=radius)).values())
        assert 1e6 * predicted == pytest.approx(there, rel=0.25)


CAMPAIGNS = [path for name in ("campaign", "study", "small") for path in ROOT.glob(f"run/*/{name}.toml")]


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_campaigns_of_the_repository_can_be_planned(path: Path, tmp_path: Path) -> None:
    campaign = grid.read(path, tmp_path / "none")
    assert len({point.folder for point in campaign.points}) == len(campaign.points)
    predicted, statuses = command.costs(campaign, Machine()), status.survey(campaign, {})
    assert {there.state for there in statuses.values()} == {"missing"}
    wanted = submit.batches(campaign, campaign.points, predicted, campaign.site, 1000)
    assert sum(len(batch.points) for batch in wanted) == len(campaign.points)
    told = tables.plan(campaign, predicted, statuses) + tables.demand(campaign, campaign.points, predicted, wanted)
    assert f"to do: {len(campaign.points)} runs" in told
    largest = max(campaign.points, key=lambda point: predicted[point.name].disk)
    line = next(line for line in told.splitlines() if line.startswith(f"{tables.state_point(largest)} "))
    assert f" {in_bytes(predicted[largest.name].disk, 3)} " in line
    assert all(0 < cost.seconds < 40 * 86400 for cost in predicted.values())


def test_all_campaigns_of_the_repository_are_here() -> None:
    assert {path.parent.name for path in CAMPAIGNS} >= {"ozawa_biroli_2023", "finite_size_scaling", "large_lattices"}
    assert shutil.which("bash")
    assert grid.load_site(ROOT / "slurm" / "sites" / "example.toml").launcher == "srun --mpi=pmix"
