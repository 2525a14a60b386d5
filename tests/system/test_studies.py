"""The studies of the papers at the smallest size: every run, every figure, so that none of it rots unseen."""

import subprocess
import sys
from pathlib import Path

from processes import CAP

ROOT = Path(__file__).parents[2]


def test_ferrero_martens_barrat_2014(environment: dict[str, str], tmp_path: Path) -> None:
    folder = ROOT / "run" / "ferrero_martens_barrat_2014"
    for command in (
        ["-m", "mpiepm", "campaign", "run", folder / "small.toml", "--out", tmp_path],
        [folder / "figures.py", "--runs", tmp_path],
    ):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=CAP, env=environment)
        assert done.returncode == 0, done.stderr
    figures = tmp_path / "figures"
    for number in (1, 2, 3):
        assert (figures / f"figure-{number}.png").read_bytes().startswith(b"\x89PNG")
        assert (figures / f"figure-{number}.pdf").read_bytes().startswith(b"%PDF")
    assert (figures / "displacements.gif").read_bytes().startswith(b"GIF")
    assert "| regime I (T = 0.2)" in (figures / "numbers.md").read_text()


def test_ozawa_biroli_2023(environment: dict[str, str], tmp_path: Path) -> None:
    folder = ROOT / "run" / "ozawa_biroli_2023"
    command = [sys.executable, "-m", "mpiepm", "campaign", "run", folder / "small.toml", "--out", tmp_path, "--cores", "2"]
    first = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert first.returncode == 0, first.stderr
    runs = len(list(tmp_path.glob("*/*/*/archive.h5")))
    assert f"{runs} runs, {runs} to do" in first.stdout
    (tmp_path / "maps" / "T=0.04" / "seed=1" / "archive.h5").unlink()
    again = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment)
    assert f"{runs} runs, 1 to do" in again.stdout
    draw = [sys.executable, folder / "figures.py", "--runs", tmp_path]
    drawn = subprocess.run(draw, capture_output=True, text=True, timeout=CAP, env=environment)
    assert drawn.returncode == 0, drawn.stderr
    figures = tmp_path / "figures"
    for number in range(1, 13):
        assert (figures / f"figure-{number:02d}.png").read_bytes().startswith(b"\x89PNG")
        assert (figures / f"figure-{number:02d}.pdf").read_bytes().startswith(b"%PDF")
    assert (figures / "mobility.gif").read_bytes().startswith(b"GIF")
    numbers = (figures / "numbers.md").read_text()
    assert "| alpha = 0.110, sigma_bar = 0.749 (eqs. 26, 33) | 0.1101, 0.7497 |" in numbers
