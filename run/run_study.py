"""Run a study: all its series, as many runs at a time as there are cores. Interrupted, it goes on where it was.

    python run/run_study.py STUDY.toml [--out DIR] [--processes N]

A study has a [base], which is a parameter file, and [[series]], each a grid over it: seeds 1 ... `seeds` and either
`temperatures` or `activities`, with further overrides in `set`. Runs lie in DIR/NAME/T<temperature>/seed<number> (or
a<activity>). A run that is there is left alone, an unfinished one is resumed. DIR defaults to results/ and the name of the
folder that the study lies in.
"""

import argparse
import multiprocessing
import os
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import tomli_w

from mpiepm.core.params import parse
from mpiepm.io import rundir

GRIDS = {"temperatures": ("model.temperature", "T"), "activities": ("model.activity", "a")}


def points(study: dict, out: Path) -> Iterator[tuple[Path, str]]:
    """Directory and complete parameter file of every run."""
    base = tomli_w.dumps(study["base"])
    for series in study["series"]:
        grid = next(name for name in GRIDS if name in series)
        key, label = GRIDS[grid]
        for value in series[grid]:
            for seed in range(1, series["seeds"] + 1):
                overrides = [f"{key}={value}", f"run.seed={seed}", *series.get("set", [])]
                params = parse(_replace(base, overrides), overrides, series["name"])
                yield out / series["name"] / f"{label}{value:g}" / f"seed{seed}", params.to_toml()


def _replace(base: str, overrides: list[str]) -> str:
    """The base without what an override is to replace as a whole: two ends of one thing contradict each other."""
    values = tomllib.loads(base)
    if any(override.startswith("run.equilibrate={") for override in overrides):
        del values["run"]["equilibrate"]
    return tomli_w.dumps(values)


def _kind(text: str) -> str:
    """What decides which functions a run compiles, more or less."""
    params = parse(text)
    model = params.model
    return str((params.engine, params.output, getattr(model, "elasticity", True), getattr(model, "activation", "")))


def end_with_parent() -> None:
    """Let this process end when the one that started it is gone, for then another may come to resume its run."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def prepare(texts: list[str]) -> None:
    """Compile what these runs need, once for all processes."""
    from mpiepm.warmup import rehearse

    for text in texts:
        rehearse(parse(text))


def perform(folder: Path, text: str) -> str:
    """One run, in this process; says what was done."""
    from mpi4py import MPI

    from mpiepm import simulation
    from mpiepm.engine.layout import slabs

    began = time.monotonic()
    params, resume = rundir.prepare(folder, parse(text), resume=folder.exists(), overwrite=False)
    simulation.run(slabs(params, MPI.COMM_SELF), params, folder, resume=resume, quiet=True)
    return f"{time.monotonic() - began:.1f} s"


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    a = parser.parse_args()
    out = a.out or Path("results") / a.study.resolve().parent.name
    runs = list(points(tomllib.loads(a.study.read_text()), out))
    todo = [(folder, text) for folder, text in runs if not rundir.is_finished(folder)]
    for folder, _ in runs:
        if rundir.is_finished(folder):
            rundir.tidy(folder)  # it may have been killed between its archive and this
    print(f"{len(runs)} runs, {len(todo)} to do", flush=True)
    if not todo:
        return
    kinds = {_kind(text): text for _, text in todo}
    with ProcessPoolExecutor(a.processes, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        pool.submit(prepare, list(kinds.values())).result()
        began = time.monotonic()
        futures = {pool.submit(perform, folder, text): folder for folder, text in todo}
        for done, future in enumerate(as_completed(futures), 1):
            left = (time.monotonic() - began) / done * (len(todo) - done)
            print(f"{futures[future]}: {future.result()}; {len(todo) - done} left, about {left / 60:.0f} min", flush=True)


if __name__ == "__main__":
    main()
