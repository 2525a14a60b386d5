"""The job scripts of slurm/ without Slurm: what they make of a signal at any time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpiepm.core.params import from_values

ROOT = Path(__file__).parents[2]


def make_run(folder: Path, seed: int) -> None:
    """A directory with parameters, of a run that takes some seconds."""
    folder.mkdir()
    run = {"equilibrate": {"events_per_site": 3}, "origins": 40, "seed": seed}
    values = {"model": {"temperature": 0.1}, "lattice": {"size": [32, 32]}, "engine": {"name": "event"}, "run": run}
    (folder / "params.toml").write_text(from_values(values).to_toml())


@pytest.mark.parametrize("seconds", [0.1, 0.6, 4.0])
def test_packed_runs_that_are_told_to_stop(seconds: float, environment: dict[str, str], tmp_path: Path) -> None:
    """Some not begun, some just starting, or all on their way: they are to be resumed, none has failed."""
    folders = [tmp_path / str(seed) for seed in (1, 2, 3)]
    for seed, folder in enumerate(folders, 1):
        make_run(folder, seed)
    (tmp_path / "list").write_text("".join(f"{folder}\n" for folder in folders))
    cache = Path.home() / ".cache" / "mpiepm" / "numba"  # not one of this test's own: compiling takes longer than the runs
    job = {
        "LIST": str(tmp_path / "list"), "MPIEPM": str(ROOT), "MPIEPM_BIN": str(Path(sys.executable).parent),
        "MAX_RESTARTS": "0", "SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "NUMBA_CACHE_DIR": str(cache),
    }  # fmt: skip
    process = subprocess.Popen(
        ["bash", ROOT / "slurm" / "packed.sbatch"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**job, **environment},
    )  # fmt: skip
    time.sleep(seconds)
    process.send_signal(signal.SIGUSR1)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 75, told
    assert "unfinished after" in told
    assert not any(tmp_path.rglob("failed.txt"))


@pytest.mark.parametrize("site", ["", "a site.toml"])
def test_the_job_that_collects_looks_where_the_runs_are(site: str, environment: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "mpiepm"
    program.write_text("#!/bin/bash\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    job = {"MPIEPM": str(ROOT), "MPIEPM_BIN": str(tmp_path), "CAMPAIGN": "c.toml", "OUT": "my runs", "MPIEPM_SITE": site}
    told = subprocess.run(
        ["bash", ROOT / "slurm" / "finish.sbatch"], capture_output=True, text=True, check=True, env={**environment, **job}
    ).stdout
    assert told.splitlines() == ["campaign", "collect", "c.toml", "--out", "my runs", *(["--site", site] if site else [])]
