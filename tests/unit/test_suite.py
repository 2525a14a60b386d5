"""The program that runs all checks: every part runs, and the last lines say what came of them."""

import re
import subprocess
import sys
from pathlib import Path

from processes import CAP

TESTS = Path(__file__).parents[1]
PARTS = """
import sys
sys.path.insert(0, {tests!r})
import suite
def part(name, text): return suite.Part(name, ["bash", "-c", text])
suite.stages = lambda: [
    [[part("broken", "echo before; exit 3"), part("after it", "echo '3 passed, 1 skipped in 0.50s'")]],
    [
        [part("pytest", "echo 'FAILED a.py::b - c'; echo 'SKIPPED [1] d.py:1: NOT TESTED: e';"
                        "echo '= 1 failed, 2 passed in 1.0s ='; exit 1")],
        [part("beside", "echo 'SKIPPED NOT TESTED: f'"), part("plain", "true")],
    ],
]
suite.main()
"""


def run(*parts: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PARTS.format(tests=str(TESTS)), *parts]
    return subprocess.run(command, capture_output=True, text=True, timeout=CAP)


def test_every_part_runs_and_the_end_says_what_failed() -> None:
    done = run()
    assert done.returncode == 1, done.stderr
    assert "      broken | before" in done.stdout.splitlines()[0]
    end = done.stdout.split("\n\n", 1)[1]
    for line in (
        "broken | FAILED exit code 3: before", "pytest | FAILED a.py::b - c", "pytest | SKIPPED [1] d.py:1: NOT TESTED: e",
        "beside | SKIPPED NOT TESTED: f",
    ):  # fmt: skip
        assert line in end
    assert re.search(r"after it \| ok +\d+  3 passed, 1 skipped", end)
    assert re.fullmatch(r"6 passed, 2 failed, 2 skipped in [\d.]+s", end.splitlines()[-1])


def test_some_parts_only() -> None:
    done = run("plain", "after it")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("4 passed, 0 failed, 1 skipped in ")
    assert run("unknown").returncode == 2
