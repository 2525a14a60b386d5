"""Fuzzing: whatever text is given as parameters, whatever bytes as a file: no traceback, no hang, no memory blow-up.

Files are read in another process, so that a crash of HDF5 would be seen, with limits to its memory and to its time.
"""

import contextlib
import json
import random
import resource
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import left_by_a_kill
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import CAP

from mpiepm.core.faults import ParameterError
from mpiepm.models.parameters import Parameters, parse

DATA = Path(__file__).parents[1] / "data"
VALID = tuple((DATA / "archive3" / model / "params.toml").read_text() for model in ("epmq", "ferrero"))
MEMORY = 6 * 1024**3  # bytes of address space, most of which the libraries take
READER = """
import contextlib, io, json, os, sys
from mpiepm.cli import main
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries written in C may print on a damaged file
for line in sys.stdin:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main(json.loads(line))
    except SystemExit as end:
        print(json.dumps([end.code, said.getvalue()]), file=answers, flush=True)
"""
WEIRD = st.sampled_from([
    "nan", "-inf", "1e400", "-0.0", "0x" + "f" * 400, "9" * 400, "1_0", "[]", "{}", "[[]]", "true", "''", '"\\u0000"',
    "1979-05-27", "07:32:00", "'''a\nb'''", "[1, 'a', 2.0]", "{ time = 1 }", "{ a.b.c = 1 }", "1 # x", "inf", "1e-320", "5e99",
    "{name = 'split'}",
])  # fmt: skip
KEYS = st.sampled_from([
    "model", "model.name", "model.temperature", "model.activity", "engine", "engine.name", "engine.window", "engine.time_step",
    "run", "run.equilibrate", "run.equilibrate.time", "run.origins", "run.duration", "run.stop_persistence", "lattice.size",
    "tracers", "tracers.number", "tracers.frames", "output", "output.lags", "output.snapshots", "output.avalanches", "x", "a.b",
])  # fmt: skip


def parsed(text: str, overrides: list[str]) -> None:
    """Parameters that survive a round trip, or a fault of whole lines."""
    said = ""
    try:
        params = parse(text, overrides)
        assert isinstance(params, Parameters)
        assert parse(params.to_toml()) == params
    except ParameterError as error:
        said = str(error)
    assert "Input should" not in said


@given(text=st.sampled_from(VALID), overrides=st.lists(st.builds("{}={}".format, KEYS, WEIRD), max_size=4))
@settings(deadline=None, max_examples=300)
def test_any_value_for_any_key(text: str, overrides: list[str]) -> None:
    parsed(text, overrides)


@given(text=st.sampled_from(VALID), data=st.data())
@settings(deadline=None, max_examples=200)
def test_mutated_parameter_files(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.text(max_size=3) | WEIRD | KEYS) + text[at + cut :]
    parsed(text, [])


@given(st.text(alphabet="[]{}=.,\"'#\n \t-+_0123456789abenrux\\", max_size=200))
@settings(deadline=None, max_examples=300)
def test_text_like_toml(text: str) -> None:
    parsed(text, [])


class Reader:
    """A process that runs command lines, one after the other."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # noqa: E731
        command = [sys.executable, "-c", READER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=limit)

    def run(self, *arguments: object) -> tuple[int, str]:
        """Exit code and what stood on standard error."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([str(argument) for argument in arguments]), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], CAP)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            self.close()
            self._start()
            raise AssertionError(f"{' '.join(map(str, arguments))}: " + ("crashed" if ready else "hangs"))
        code, said = json.loads(answer)
        return code, said

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        with contextlib.suppress(OSError):
            self._process.communicate()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """A process that reads damaged files."""
    process = Reader()
    process.run("info")
    yield process
    process.close()


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Cut, with bytes changed, overwritten, inserted or lost, several of these at a time."""
    result = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        at, length = draw.randrange(len(result)), draw.choice([1, 1, 4, 64, 4096])
        kind = draw.choice(["flip", "flip", "flip", "noise", "zeros", "insert", "lose", "cut", "append"])
        if kind == "flip":
            result[at] ^= 1 << draw.randrange(8)
        elif kind in ("noise", "zeros"):
            end = min(at + length, len(result))
            result[at:end] = draw.randbytes(end - at) if kind == "noise" else bytes(end - at)
        elif kind == "insert":
            result[at:at] = draw.randbytes(length)
        elif kind == "lose":
            del result[at : at + length]
        elif kind == "append":
            result += draw.randbytes(length)
        else:
            del result[max(at, 1) :]
    return bytes(result) or b"\0"


def damage(reader: Reader, path: Path, commands: dict[tuple[object, ...], set[int]], examples: int) -> None:
    """Damage a file again and again: every command must end with one of its codes, and say at most one line."""
    content = path.read_bytes()
    for number in range(examples):
        changed = damaged(content, random.Random(f"{path.name} {number}"))
        if changed == content:
            continue
        path.write_bytes(changed)
        for command, codes in commands.items():
            code, said = reader.run(*command)
            what = f"{path}, example {number}, {command[0]}: code {code}, {said}"
            assert code in codes, what
            assert "Traceback" not in said, what
            assert len(said.splitlines()) == (code == 2) or 0 in codes, what
    path.write_bytes(content)


@pytest.mark.parametrize("model", ["epmq", "ferrero"])
@pytest.mark.parametrize("examples", [60, pytest.param(10_000, marks=pytest.mark.statistics)])
def test_damaged_archives(reader: Reader, tmp_path: Path, model: str, examples: int) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / "archive3" / model, folder)
    commands: dict[tuple[object, ...], set[int]] = {
        ("analyse", folder): {0, 2},  # it does not read everything, and warns of changed numbers
        ("verify", folder): {0, 1},  # bytes that stand for nothing, such as room between datasets, may change
        ("info", folder): {0},
    }
    damage(reader, folder / "archive.h5", commands, examples)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory as a kill leaves it."""
    folder = tmp_path_factory.mktemp("unfinished") / "run"
    left_by_a_kill(folder)
    return folder


@pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.statistics)])
@pytest.mark.parametrize("which", ["checkpoint", "journal"])
def test_damaged_checkpoints_and_segments(
    reader: Reader, unfinished: Path, tmp_path: Path, which: str, examples: int
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unfinished, folder)
    path = sorted(folder.glob("checkpoint-*.h5"))[-1] if which == "checkpoint" else folder / "journal" / "000000.h5"
    damage(reader, path, {("verify", folder): {1}, ("info", folder): {0}}, examples)
