"""The report of a real campaign, looked at in a real browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from processes import call

CAMPAIGN = """
name = "small"
[base]
lattice.size = [16, 32]
[[grid]]
over = { L = [16, 24, 32], T = [0.1, 0.06, 0.04, 0.03], seed = 1 }
[grid.set]
model.name = "epmq"
engine.name = "event"
run = { equilibrate = { events_per_site = 5 }, origins = 8, overlap = 2 }
output = { first_event_maps = { by = "L", "32" = true, else = false }, four_point = {}, clusters = {}, avalanches = {} }
[[grid]]
name = "ferrero"
over = { T = [0.2], seed = 1 }
[grid.set]
model.name = "ferrero"
engine.name = "step"
run = { equilibrate = { time = 50 }, duration = 50 }
"""
POOR = """
[base]
engine.name = "event"
run = { equilibrate = { events_per_site = 2 }, origins = 1 }
[[grid]]
over = { L = [8, 16], T = [0.1, 0.06], seed = 1 }
[[grid]]
name = "extremal"
over = { L = [8, 16], T = [0.0], seed = 1 }
set = { engine.dynamics = "extremal", run.origins = 4, output.avalanches = { gaps = [], thresholds = [0.5] } }
"""
# What a page may look like and ask for, whatever its contents: evaluated in it
HONEST = """({
  width: innerWidth, needed: document.documentElement.scrollWidth,
  images: [...document.images].map(i => i.complete && i.naturalWidth > 0 && i.clientWidth > 0),
  drawings: [...document.querySelectorAll("section > .grid svg")].map(s => s.getBoundingClientRect().height > 50),
  doubles: [...document.querySelectorAll("[id]")].map(e => e.id).filter((id, k, all) => all.indexOf(id) !== k),
  fetched: performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith("data:")),
  ground: getComputedStyle(document.body).backgroundColor,
})"""


@pytest.fixture(scope="module")
def report(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a campaign in which one run has failed, and one is unfinished; its numbers lie beside it."""
    folder = tmp_path_factory.mktemp("campaign")
    file, out = folder / "small.toml", folder / "out"
    file.write_text(CAMPAIGN)

    def mpiepm(*arguments: object) -> subprocess.CompletedProcess[str]:
        return call(clean_environment, "campaign", *arguments, "--out", out)

    ran = mpiepm("run", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in ("T=0.03", "T=0.04"):
        (out / "L=16" / name / "seed=1" / "archive.h5").unlink()
    (out / "L=16" / "T=0.03" / "seed=1" / "failed.txt").write_text("exit code 1: <script>throw 'not escaped'</script> & more\n")
    told = mpiepm("report", file)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout == f"{out / 'report.html'}, report.json\n"
    return out / "report.html"


def test_the_summary_for_machines(report: Path) -> None:
    told = json.loads(report.with_suffix(".json").read_text())
    status = {point["name"]: point["status"] for point in told["points"]}
    assert told["total"]["runs"] == len(status) == 13
    assert status["L=16/T=0.03/seed=1"] == "failed"
    assert status["L=16/T=0.04/seed=1"] == "unfinished"
    assert sum(state == "finished" for state in status.values()) == told["total"]["finished"] == 11
    assert all(point["actual"]["memory"] > 1e7 for point in told["points"] if point["actual"])
    (found,) = told["results"]  # FMB is not in it
    assert [(s["temperature"], s["length"]) for s in found["states"]][:3] == [(0.1, 16), (0.1, 24), (0.1, 32)]
    assert len(found["states"]) == 10
    assert all(state["tau_alpha"] > 0 for state in found["states"])
    steps = found["size_dependence"]["chi4_peak"]
    assert [(s["length"], s["larger"]) for s in steps if s["temperature"] == 0.1] == [(16, 24), (24, 32), (32, None)]
    assert {entry["temperature"] for entry in found["large_enough"]["tau_alpha"]} == {0.1, 0.06, 0.04, 0.03}


def test_what_is_not_known_is_a_dash(mpiepm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """One origin, no lengths, exact values: extremal dynamics counts events, so that 1 / Gamma has no error."""
    file, out = tmp_path / "poor.toml", tmp_path / "out"
    file.write_text(POOR)
    for action in ("run", "report"):
        done = mpiepm(1, "campaign", action, file, "--out", out)
        assert done.returncode == 0, done.stderr
    assert re.search(r"\bnan\b", (out / "report.html").read_text()) is None
    found = json.loads((out / "report.json").read_text())["results"]
    assert {state["temperature"] for one in found for state in one["states"]} == {0.0, 0.1, 0.06}
    assert not any("T = 0 " in sentence for one in found for sentence in one["sentences"])  # there N events are one sweep


def test_the_page_says_it_all(report: Path) -> None:
    page = report.read_text()
    for text in ("<b>11</b> finished", "<b>1</b> failed", "<b>1</b> unfinished", "What was found", "Mobility",
                 "Stationary state", "&lt;script&gt;throw", "ξ₄ goes from", "actual / predicted", "memory, predicted",
                 "archive, predicted"):  # fmt: skip
        assert text in page, text
    assert page.count("data:image/png;base64,") == 4  # maps at L = 32
    assert re.search(r"\bnan\b", page) is None  # what is not known is a dash
    assert str(report.parent) not in page  # it may be given away


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="NOT TESTED: no chromium, so the report has not been looked at")
def test_the_page_in_a_browser(report: Path, tmp_path: Path) -> None:
    grounds = set()
    with Browser(tmp_path / "profile") as browser:
        for width, scheme, media in (
            (1280, "light", "screen"), (1280, "dark", "screen"), (400, "light", "screen"), (900, "light", "print"),
        ):  # fmt: skip
            browser.open(report, width, scheme=scheme, media=media)
            page = browser.evaluate(HONEST)
            assert page["width"] == width
            assert page["needed"] <= width, "wider than the window"
            assert len(page["images"]) == 4
            assert all(page["images"])
            assert len(page["drawings"]) >= 7
            assert all(page["drawings"])
            assert page["doubles"] == []
            assert page["fetched"] == []
            grounds.add(page["ground"])
            requests = [told["request"]["url"] for told in browser.told("Network.requestWillBeSent")]
            assert {url for url in requests if not url.startswith("data:")} == {report.resolve().as_uri()}
            assert browser.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
        assert len(grounds) == 3  # by day, at night, on paper
        browser.open(report)
        order = "[...document.querySelectorAll('table.sortable')].at(-1).querySelectorAll('tbody tr td:nth-child(2)')"
        browser.evaluate("[...document.querySelectorAll('table.sortable')].at(-1).querySelectorAll('th')[1].click()")
        finished = browser.evaluate(f"[...{order}].map(cell => cell.textContent)")
        assert finished == sorted(finished)
        assert finished[0] == "0/1"


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="NOT TESTED: no chromium, so bad pages may go unnoticed")
def test_a_page_that_is_not_self_contained_is_noticed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<body style="width: 2000px"><img src="http://example.org/x.png"><script>throw 1</script>')
    with Browser(tmp_path / "profile") as browser:
        browser.open(bad)
        page = browser.evaluate(HONEST)
        assert page["needed"] > page["width"]
        assert page["images"] == [False]
        assert "http://example.org/x.png" in [told["request"]["url"] for told in browser.told("Network.requestWillBeSent")]
        assert browser.told("Runtime.exceptionThrown")
