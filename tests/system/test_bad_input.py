"""Wrong parameter files, command lines, archives and directories: one clear line, exit code 2, and no file changed."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
from processes import CAP

from mpiepm.cli import main

DATA = Path(__file__).parents[1] / "data"
EPMQ = b"[model]\ntemperature = 0.1\n[lattice]\nsize = [16, 16]\n"
FERRERO = b"""
[model]
name = 'ferrero'
temperature = 0.1
[run]
equilibrate = { time = 50 }
duration = 10
[lattice]
size = [16, 16]
"""
RANDOM = FERRERO.replace(b"temperature = 0.1", b"activation = 'random'")
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2

PARAMETERS = {  # what is wrong: (text, overrides, what is said)
    "no model": (b"", [], "model: required, but not given"),
    "no temperature": (b"[model]\n", [], "model.temperature: required, but not given"),
    "text for a number": (EPMQ, ["model.temperature=cold"], "model.temperature = 'cold': must be a number"),
    "truth for a number": (EPMQ, ["model.temperature=true"], "model.temperature = true: must be a number"),
    "list for a number": (EPMQ, ["model.temperature=[0.1]"], "model.temperature = [0.1]: must be a number"),
    "date for a number": (EPMQ, ["model.temperature=2020-01-01"],
                          "model.temperature = datetime.date(2020, 1, 1): must be a number"),
    "number for truth": (EPMQ, ["model.elasticity=1"], "model.elasticity = 1: must be true or false"),
    "number for text": (FERRERO, ["model.activity_from=3"], "model.activity_from = 3: must be text"),
    "fraction for a whole number": (EPMQ, ["run.origins=2.5"], "run.origins = 2.5: must be a whole number"),
    "text for a list": (EPMQ, ["lattice.size='64x64'"], "lattice.size = '64x64': must be a list"),
    "one side": (EPMQ, ["lattice.size=[64]"], "lattice.size = [64]: must be a list of 2 numbers"),
    "three sides": (EPMQ, ["lattice.size=[64, 64, 64]"], "lattice.size = [64, 64, 64]: must be a list of 2 numbers"),
    "broken side": (EPMQ, ["lattice.size=[64, 63.5]"], "lattice.size[1] = 63.5: must be a whole number"),
    "small side": (EPMQ, ["lattice.size=[3, 64]"], "lattice.size[0] = 3: must be at least 4"),
    "huge side": (EPMQ, ["lattice.size=[64, 2000000]"], "lattice.size[1] = 2000000: must be at most 1048576"),
    "more than the memory": (EPMQ, ["lattice.size=[1048576, 1048576]"],
                             "lattice.size = [1048576, 1048576], engine.name = 'sweep': the run needs at least 65.97 TB of "
                             "memory, must be at most"),
    "negative": (EPMQ, ["model.temperature=-1"], "model.temperature = -1: must be at least 0"),
    "nan": (EPMQ, ["model.temperature=nan"], "model.temperature = nan: must be a finite number"),
    "inf": (EPMQ, ["model.threshold=inf"], "model.threshold = inf: must be a finite number"),
    "huge": (EPMQ, ["model.stiffness=1e200"], "model.stiffness = 1e+200: must be at most 1e+100"),
    "whole number of 400 digits": (EPMQ, [f"model.temperature={10**400}"], "...: must be a finite number"),
    "whole number of 5000 digits": (EPMQ + b"[run]\nseed = " + b"9" * 5000, [],
                                    "not valid TOML: a number has thousands of digits"),
    "hexadecimal of 5000 digits": (EPMQ, ["run.seed=0x" + "f" * 5000],
                                   "run.seed = a number of thousands of digits: must be below"),
    "negative seed": (EPMQ, ["run.seed=-1"], "run.seed = -1: must be at least 0"),
    "large seed": (EPMQ, [f"run.seed={2**63}"], f"run.seed = {2**63}: must be below {2**63}"),
    "no origins": (EPMQ, ["run.origins=0"], "run.origins = 0: must be at least 1"),
    "too many origins": (EPMQ, ["run.origins=10_000_000_000"], "run.origins = 10000000000: must be at most 1000000000"),
    "overlap": (EPMQ, ["run.overlap=65"], "run.overlap = 65: must be at most 64"),
    "share": (EPMQ, ["run.stop_persistence=1"], "run.stop_persistence = 1: must be below 1"),
    "wrong entry of a list": (EPMQ, ["output.snapshots=[1, -2]"], "output.snapshots[1] = -2: must be at least 0"),
    "no list": (EPMQ, ["output.snapshots=3"], "output.snapshots = 3: must be a list"),
    "no name of a kernel": (EPMQ, ["model.kernel=papr"], "model.kernel = 'papr': must be 'paper' or 'conserving'"),
    "no name of an engine": (EPMQ, ["engine.name=swep"],
                             "engine.name = 'swep': must be one of 'sweep', 'event', 'split', 'auto'"),
    "number as name of an engine": (EPMQ, ["engine.name=7"], "engine.name = 7: must be one of 'sweep'"),
    "no name of a model": (EPMQ, ["model.name=epm"], "model.name = 'epm': must be one of 'epmq', 'ferrero'"),
    "list as name of a model": (EPMQ, ["model.name=[1]"], "model.name = [1]: must be one of 'epmq', 'ferrero'"),
    "engine of the other model": (EPMQ, ["engine.name=step"],
                                  "engine.name = 'step', model.name = 'epmq': must be 'sweep', 'event', 'split' or 'auto'"),
    "engine of EPM-Q": (FERRERO, ["engine.name=split"],
                        "engine.name = 'split', model.name = 'ferrero': must be 'step'"),
    "unknown section": (EPMQ, ["modle.temperature=1"], "modle: unknown key; did you mean model?"),
    "unknown key": (EPMQ, ["model.temprature=1"], "model.temprature: unknown key; did you mean temperature?"),
    "unknown key, no guess": (EPMQ, ["run.xyzzy=1"], "run.xyzzy: unknown key; known here: seed, equilibrate, origins"),
    "unknown key deep down": (EPMQ, ["output.histogram.bns=3"], "output.histogram.bns: unknown key; did you mean bins?"),
    "number for two sides": (EPMQ, ["lattice.size=32"],
                             "lattice.size = 32: must be a list of 2 numbers, such as [32, 32]"),
    "number for snapshots": (EPMQ, ["output.snapshots=3.0"], "output.snapshots = 3.0: must be a list, such as [3.0]"),
    "T": (EPMQ, ["T=0.2"], "T: unknown key; did you mean temperature in [model]?"),
    "T in its section": (EPMQ, ["model.T=0.2"], "model.T: unknown key; did you mean temperature in [model]?"),
    "L": (EPMQ, ["L=32"], "L: unknown key; did you mean size in [lattice]?"),
    "N": (EPMQ, ["run.N=32"], "run.N: unknown key; did you mean size in [lattice]?"),
    "dt": (FERRERO, ["model.dt=0.1"], "model.dt: unknown key; did you mean time_step in [engine]?"),
    "key without its section": (EPMQ, ["temperature=0.2"], "temperature: unknown key; it belongs to [model]"),
    "key in another section": (EPMQ, ["output.seed=2"], "output.seed: unknown key; it belongs to [run]"),
    "key of FMB": (EPMQ, ["model.gamma0=1"], "model.gamma0: unknown key; it belongs to model.name = 'ferrero'"),
    "section of FMB": (EPMQ, ["tracers.number=5"], "tracers: unknown key; it belongs to model.name = 'ferrero'"),
    "key of EPM-Q": (FERRERO, ["output.four_point={}"], "output.four_point: unknown key; it belongs to model.name = 'epmq'"),
    "origins of EPM-Q": (FERRERO, ["run.origins=3"], "run.origins = 3: does not apply to a stationary run, use duration"),
    "key of another engine": (EPMQ, ["engine.radius=9"], "engine.radius: unknown key; it belongs to engine.name = 'split'"),
    "two ends": (EPMQ, ["run.stop_persistence=0.1", "run.origin_duration=5"],
                 "run.origin_duration and stop_persistence contradict"),
    "two equilibrations": (EPMQ, ["run.equilibrate={time=1, events_per_site=1}"],
                           "run.equilibrate: exactly one of events_per_site"),
    "no equilibration": (EPMQ, ["run.equilibrate={}"],
                         "run.equilibrate: exactly one of events_per_site and time must be given"),
    "overlap without duration": (EPMQ, ["run.overlap=2", "run.stop_persistence=0.1"], "run.overlap = 2: origins that end by"),
    "two schedules": (FERRERO, ["tracers={number=2, interval=1, frames={}}"],
                      "tracers.interval and frames contradict each other"),
    "extremal and warm": (EPMQ, ["engine.name=event", "engine.dynamics=extremal"],
                          "model.temperature = 0.1, engine.dynamics = 'extremal'"),
    "cold and not extremal": (EPMQ, ["model.temperature=0"], "model.temperature = 0, engine.dynamics = 'thermal': must be"),
    "strip and radius": (EPMQ, ["engine.name=split", "engine.strip=10"],
                         "engine.strip = 10, radius = 16: strip must be at least 2 radius"),
    "radius and size": (EPMQ, ["engine.name=split"],
                        "lattice.size = [16, 16], engine.radius = 16: 2 radius + 2 must be at most"),
    "step and event": (FERRERO, ["model.restructuring_time=0.05"], "engine.time_step = 0.1, model.restructuring_time = 0.05"),
    "interval and step": (FERRERO, ["output.interval=1e-9"],
                          "output.interval = 1e-09, engine.time_step = 0.1: an interval must not be"),
    "interval of tracers": (FERRERO, ["tracers={number=2, interval=0.01}"], "tracers.interval = 0.01, engine.time_step = 0.1"),
    "uncountable windows": (EPMQ, ["run.origin_duration=1e99"],
                            "engine.window = 0.05, run.equilibrate.time or run.origin_duration = 1e+99"),
    "uncountable steps": (FERRERO, ["run.duration=1e99"],
                          "engine.time_step = 0.1, run.equilibrate.time + run.duration = 1e+99"),
    "activated by nothing": (FERRERO, ["model.activation=random"],
                             "model.activation = 'random': needs activity or activity_from"),
    "thresholds of the others": (EPMQ, ["output.avalanches={thresholds=[0.1]}"], "output.avalanches.thresholds: only with"),
    "crowd of tracers": (FERRERO, ["tracers={number=300, placement='sites'}"], "tracers.number = 300, lattice.size = [16, 16]"),
    "number for a section": (EPMQ, ["model=3"], "model = 3: must be a section"),
    "text for an engine": (EPMQ, ["engine=sweep"], "engine = 'sweep': must be a section"),
    "truth for a section": (EPMQ, ["output.correlations=true"], "output.correlations = true: must be a section"),
    "no equals sign": (EPMQ, ["model.temperature"], "--set model.temperature: must be section.key=value"),
    "no key": (EPMQ, ["=3"], "--set =3: must be section.key=value"),
    "empty part of a key": (EPMQ, ["model..temperature=3"], "--set model..temperature=3: must be section.key=value"),
    "key of a number": (EPMQ, ["model.temperature.x=1"], "--set model.temperature.x=1: model.temperature is not a section"),
    "two lines in one": (EPMQ, ["model.temperature=1\nseed=2"], "model.temperature = '1\\nseed=2': must be a number"),
    "no TOML": (b"[model\n", [], "not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
    "twice": (EPMQ + b"[run]\nseed = 1\nseed = 2\n", [], "not valid TOML: Cannot overwrite a value (at line 7, column 9)"),
    "section twice": (EPMQ + b"[model]\n", [], "not valid TOML: Cannot declare ('model',) twice"),
    "deep": (EPMQ + b"[run]\nseed = " + b"[" * 100_000, [], "not valid TOML: nested too deeply"),
    "deep override": (EPMQ, ["run.seed=" + "[" * 5000], "...: must be a whole number"),
    "bytes": (bytes(range(256)), [], "not a text file, must be TOML in UTF-8"),
    "UTF-16": (EPMQ.decode().encode("utf-16"), [], "not a text file, must be TOML in UTF-8"),
    "zeros": (b"\0" * 100, [], "not valid TOML"),
    "too large": (b"#" * 2_000_000, [], "too large for a parameter file, must be at most 1048576 bytes"),
    "no such run": (RANDOM, ["model.activity_from=absent"],
                    "model.activity_from = 'absent': absent: no such file"),
    "run without activity": (RANDOM, ["model.activity_from=epmq"],
                             "model.activity_from = 'epmq': must be a run that has recorded series/activity"),
    "name with a zero": (RANDOM, ['model.activity_from="a\\u0000b"'],
                         "model.activity_from = 'a\\x00b'"),
}  # fmt: skip

COMMANDS = {  # arguments: what is said
    "run": "give a parameter file, or --out DIR --resume",
    "run absent.toml": "absent.toml: cannot be read: No such file or directory",
    "run empty": "empty: cannot be read: Is a directory",
    "run epmq.toml --out text": "--out text: exists and is not a directory",
    "run epmq.toml --out text/deeper": "--out text/deeper: Not a directory",
    f"run epmq.toml --out {'x' * 300}": f"--out {'x' * 300}: File name too long",
    "run epmq.toml --out epmq": "--out epmq: holds a run already; use --resume to continue it or --overwrite to drop it",
    "run epmq.toml --out epmq --resume": "--resume: epmq holds a run with other parameters: lattice.size is",
    "run ferrero.toml --out epmq --resume": "--resume: epmq holds a run with other parameters: ",
    "run --out empty --resume": "--resume: empty holds no run, and no parameter file was given",
    "run --out epmq --resume --set run.seed=2":
        "--resume: epmq holds a run with other parameters: run.seed is 1 there and 2 here",
    "run --out epmq --set run.seed=2": "--set run.seed=2: needs a parameter file, or --resume",
    "run --out epmq --resume --set run.origins=99": "epmq: the finished run cannot be made longer: it kept no state.h5",
    "run --out empty --resume --set run.seed=2": "empty: holds no run",
    "run epmq.toml --set model.temperature 0.2":
        "--set model.temperature: must be section.key=value, such as model.temperature=0.02",
    "analyze epmq": "invalid choice: 'analyze'; did you mean analyse? See mpiepm --help",
    "epmq.toml": "invalid choice: 'epmq.toml'; did you mean mpiepm run epmq.toml? See mpiepm --help",
    "campaign stauts epmq.toml": "invalid choice: 'stauts'; did you mean status? See mpiepm campaign --help",
    "figure empty": "empty/archive.h5: no such file",
    "run --out torn_parameters --resume": "torn_parameters/params.toml: not valid TOML",
    "run epmq.toml --resume --overwrite --out epmq": "--overwrite: not allowed with argument --resume; see",
    "run epmq.toml --out": "argument --out: expected one argument; see mpiepm run --help",
    "run epmq.toml --bogus": "unrecognized arguments: --bogus; see mpiepm --help",
    "bogus": "invalid choice: 'bogus'",
    "analyse empty": "empty/archive.h5: no such file; has the run finished?",
    "analyse absent": "absent: no such file",
    "analyse text": "text: not an HDF5 file, must be an archive of mpiepm",
    "analyse text_archive": "text_archive/archive.h5: not an HDF5 file, must be an archive of mpiepm",
    "analyse void_archive": "void_archive/archive.h5: is empty, must be an archive of mpiepm",
    "analyse folder_archive": "folder_archive/archive.h5: is a directory, must be a file",
    "analyse foreign": "foreign/archive.h5: not an archive of mpiepm",
    "analyse newer": "newer/archive.h5: is 'mpiepm archive 4', this program reads 'mpiepm archive 3'",
    "analyse cut": "cut/archive.h5: damaged: truncated file: ",
    "analyse header": "header/archive.h5: damaged: ",
    "analyse lacking": "lacking/archive.h5: damaged: lacks persistence/value",
    "analyse epmq epmq": "epmq, epmq: the same state point and run.seed = 1; give one",
    "analyse ferrero again": "ferrero, again: the same state point and run.seed = 1; give one",
    "analyse epmq other_lags": "epmq, other_lags: cannot be averaged, output.lags.per_decade is 6 and 8",
    "analyse epmq --save numbers.txt": "--save numbers.txt: must end in .csv, .nc or .h5",
    "analyse epmq --save absent/a.nc": "--save absent/a.nc: cannot be written: absent is no directory",
    "analyse epmq --save epmq/archive.h5": "--save epmq/archive.h5: is one of the archives to be read",
    "analyse epmq --save folder.csv": "--save folder.csv: cannot be written: Is a directory",
    "figure overview empty": "empty/archive.h5: no such file; has the run finished?",
    "figure overview ferrero": "ferrero: is a stationary run; this is for runs with origins",
    "figure overview epmq --out picture.xyz": "--out picture.xyz: must end in .png, .pdf, .svg",
    "figure overview epmq --out absent/a.png": "--out absent/a.png: cannot be written: No such file or directory",
    "figure overwiev epmq": "invalid choice: 'overwiev'; did you mean overview? See mpiepm figure --help",
    "info absent": "absent: no such directory",
    "info empty": "empty: holds no run",
    "info text": "text: is not a directory",
    "verify": "the following arguments are required: DIR",
    "verify epmq empty": "empty: holds no run",
    "theory 0": "T = 0: must be at least 0.0015",
    "theory nan": "T = nan: must be at least 0.0015",
    "theory warm": "argument T: invalid float value: 'warm'; see mpiepm theory --help",
    "theory 0.1 --alpha 5": "--alpha 5: must be above 0 and below",
    "theory 0.1 --length 1000000": "--length 1000000: must be at least 8 and at most 4096",
    "theory 0.1 --relaxation nan": "--relaxation nan: must be above 0 and at most 5",
    "validate --quick 0.1 0.3": "T = 0.3: must be one of 0.2, 0.1, 0.06",
    "validate --seed -1": "--seed -1: must be at least 0 and below 2**63",
}  # fmt: skip


def _archive(folder: Path, change: Callable[[bytes], bytes] = bytes) -> None:
    """A copy of the EPM-Q archive, with other bytes."""
    shutil.copytree(DATA / "archive3" / "epmq", folder)
    (folder / "archive.h5").write_bytes(change((folder / "archive.h5").read_bytes()))


def _edited(folder: Path, change: Callable[[h5py.File], object]) -> None:
    """A copy of the EPM-Q archive, changed by HDF5."""
    _archive(folder)
    with h5py.File(folder / "archive.h5", "r+") as file:
        change(file)


def _with_other_lags(file: h5py.File) -> None:
    file.attrs["params"] = file.attrs["params"].replace(b"seed = 1", b"seed = 2").replace(b"per_decade = 6", b"per_decade = 8")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Everything that the cases name, in a folder that any user may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for model in ("epmq", "ferrero"):
            shutil.copytree(DATA / "archive3" / model, folder / model)
        shutil.copytree(DATA / "archive3" / "ferrero", folder / "again")
        (folder / "epmq.toml").write_bytes(EPMQ)
        (folder / "ferrero.toml").write_bytes(FERRERO)
        (folder / "text").write_text("a text")
        for empty in ("empty", "folder.csv", "folder_archive/archive.h5"):
            (folder / empty).mkdir(parents=True)
        _archive(folder / "text_archive", lambda content: b"a text")
        _archive(folder / "void_archive", lambda content: b"")
        _edited(folder / "newer", lambda file: file.attrs.__setitem__("schema", "mpiepm archive 4"))
        _edited(folder / "lacking", lambda file: file.__delitem__("persistence/value"))
        _edited(folder / "other_lags", _with_other_lags)
        _archive(folder / "cut", lambda content: content[: len(content) // 2])
        _archive(folder / "header", lambda content: content[:20] + bytes([content[20] ^ 16]) + content[21:])
        _archive(folder / "torn_parameters")
        (folder / "torn_parameters" / "params.toml").write_text("[model]\ntemp")
        (folder / "foreign").mkdir()
        with h5py.File(folder / "foreign" / "archive.h5", "w") as file:
            file["a"] = [1, 2, 3]
        yield folder


def listing(folder: Path) -> dict[str, str]:
    """Every file with its hash, every folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run the command line, which must say one line and end with code 2; the line."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr()
    assert end.value.code == 2, said.err
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("mpiepm: ")
    assert not any(word in said.err for word in ("Traceback", "pydantic", "Input should", "valid dictionary", "NoneType"))
    return lines[0]


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters(case: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text, overrides, expected = PARAMETERS[case]
    monkeypatch.chdir(place)
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(text)
        file.flush()
        before = listing(place)
        given = [part for override in overrides for part in ("--set", override)]
        assert expected in refused(capsys, ["run", file.name, "--out", "run", *given])
    assert listing(place) == before


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands(arguments: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    before = listing(place)
    assert COMMANDS[arguments] in refused(capsys, arguments.split())
    assert listing(place) == before


def test_every_fault_has_its_line(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit):
        main(["run", "epmq.toml", "--set", "run.seed=-1", "--set", "engine.window=-1", "--set", "lattice.sise=3"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("mpiepm: epmq.toml: ") for line in lines)


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Without the capabilities that let root pass over permissions (capabilities(7)); others have none to lose."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same of capabilities above 31
    assert libc.capget(header, sets) == 0, os.strerror(ctypes.get_errno())
    effective = sets[0]
    sets[0] = effective & ~(CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH)
    assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.parametrize(
    ("closed", "arguments", "expected"),
    [
        ("epmq.toml", "run epmq.toml --out run", "epmq.toml: cannot be read: Permission denied"),
        (".", "run epmq.toml --out run", "--out run: Permission denied"),
        (".", "run epmq.toml --out deep/run", "--out deep/run: Permission denied"),
        ("epmq", "run epmq.toml --out epmq --overwrite", "epmq/run.lock: cannot be written: Permission denied"),
        ("epmq/archive.h5", "analyse epmq", "epmq/archive.h5: cannot be read: Permission denied"),
        ("epmq/params.toml", "run --out epmq --resume", "epmq/params.toml: cannot be read: Permission denied"),
        ("sealed", "analyse sealed/epmq", "sealed/epmq: cannot be read: Permission denied"),
        ("sealed", "info sealed", "sealed: cannot be read: Permission denied"),
        ("sealed", "verify sealed/epmq", "sealed/epmq: cannot be read: Permission denied"),
        (".", "analyse epmq --save a.csv", "--save a.csv: cannot be written: Permission denied"),
        (".", "figure overview epmq", "--out epmq/overview.png: cannot be written: Permission denied"),
    ],
)
def test_no_permission(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    closed: str, arguments: str, expected: str,
) -> None:  # fmt: skip
    for source in ("epmq", "epmq.toml", "text"):
        (shutil.copytree if (place / source).is_dir() else shutil.copy)(place / source, tmp_path / source)
    shutil.copytree(place / "epmq", tmp_path / "sealed" / "epmq")
    path = tmp_path / closed
    before = listing(tmp_path)
    modes = {p: p.stat().st_mode for p in (tmp_path, tmp_path / "epmq", path)}
    tmp_path.chmod(0o555)
    (tmp_path / "epmq").chmod(0o555)
    path.chmod(0o555 if closed in (".", "epmq") else 0)
    monkeypatch.chdir(tmp_path)
    with bound_by_permissions():
        assert expected in refused(capsys, arguments.split())
    for p, mode in modes.items():
        p.chmod(mode)
    assert listing(tmp_path) == before


@pytest.mark.mpirun
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "epmq.toml", "--set", "model.temperature=cold"], "model.temperature = 'cold': must be a number"),
        (["run", "epmq.toml", "--bogus"], "unrecognized arguments: --bogus"),
        (["analyse", "cut"], "cut/archive.h5: damaged"),
        (["verify", "empty"], "empty: holds no run"),
    ],
)
def test_every_rank_ends_with_code_2_and_one_speaks(
    place: Path, environment: dict[str, str], arguments: list[str], expected: str
) -> None:
    before = listing(place)
    report = 'python -m mpiepm "$@"; echo "code $?"'
    command = ["mpirun", "-n", "2", "bash", "-c", report.replace("python", sys.executable), "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment, cwd=place)
    assert done.stdout.splitlines() == ["code 2"] * 2, done.stderr
    assert done.stderr.count("mpiepm: ") == done.stderr.count(expected) == 1, done.stderr
    assert done.stderr.startswith("mpiepm: "), done.stderr  # before what the launcher says
    assert listing(place) == before
