"""Hand points to Slurm, by the templates of slurm/: arrays of equal jobs, small runs packed; and then `collect`."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mpiepm
from mpiepm.campaign import failures, queue
from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.site import Site
from mpiepm.core.params import ParameterError
from mpiepm.io import rundir

_ROOT = Path(mpiepm.__file__).resolve().parents[1]
_MARGIN = 1.5  # of memory over the prediction


@dataclass(frozen=True)
class Request:
    """What one job asks for; points that ask for the same share an array.

    Attributes
    ----------
    walltime : minutes;  memory : MB, all nodes together
    """

    ranks: int
    nodes: int
    walltime: int
    memory: int
    packed: bool


@dataclass(frozen=True)
class Batch:
    """Points of one call of sbatch."""

    request: Request
    points: tuple[Point, ...]
    cores: int

    @property
    def jobs(self) -> int:
        """Of Slurm."""
        return 1 if self.request.packed else len(self.points)


def batches(campaign: Campaign, todo: Sequence[Point], predicted: dict[str, Cost], site: Site, limit: int) -> list[Batch]:
    """The calls of sbatch that these points take, the longest runs first.

    Raises
    ------
    ParameterError : if a point asks for more than a node of the site has
    """
    groups: dict[Request, list[Point]] = {}
    for point in sorted(todo, key=lambda point: -predicted[point.name].seconds):
        groups.setdefault(_request(campaign, point, predicted[point.name], site), []).append(point)
    found = []
    for request, points in groups.items():
        packing = campaign.packing
        most = packing.points if request.packed and packing else limit
        for first in range(0, len(points), most):
            part = tuple(points[first : first + most])
            cores = request.ranks
            if request.packed and packing:
                cores = min(packing.cores, request.ranks * len(part))
            found.append(Batch(request, part, cores))
    return found


def _request(campaign: Campaign, point: Point, cost: Cost, site: Site) -> Request:
    needs, packing = point.resources, campaign.packing
    memory = needs.memory * 1e9 if needs.memory else _MARGIN * cost.memory
    packed = packing is not None and needs.ranks <= packing.ranks and cost.seconds < packing.longest
    cores = packing.cores if packed and packing else -(-needs.ranks // needs.nodes)
    if site.cores_per_node and cores > site.cores_per_node:
        what = f"packing.cores = {cores}" if packed else f"resources.ranks = {needs.ranks}, nodes = {needs.nodes}"
        raise ParameterError(f"{point.name}: {what}: a node of {site.name} has {site.cores_per_node} cores")
    if site.memory_per_node and memory > needs.nodes * site.memory_per_node * 1e9:
        raise ParameterError(
            f"{point.name}: {memory / 1e9:.3g} GB on {needs.nodes} nodes: a node of {site.name} has {site.memory_per_node:g} GB"
        )
    rounded = 256 * -(-int(memory / 1e6) // 256)  # so that points of nearly the same need share an array
    return Request(needs.ranks, needs.nodes, max(1, -(-int(needs.walltime) // 60)), rounded, packed)


def array_limit(site: Site) -> int:
    """Jobs in an array: what the profile says, or Slurm, whose largest index is MaxArraySize - 1."""
    if site.array_limit:
        return site.array_limit
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=60, check=False).stdout
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", answer)
    return max(int(match[1]) - 1, 1) if match else 1000


def submit(campaign: Campaign, wanted: Sequence[Batch]) -> list[str]:
    """Hand them to Slurm; numbers of the jobs.

    Raises
    ------
    ParameterError : if sbatch refuses
    """
    templates = _ROOT / "slurm"
    if not templates.is_dir():
        raise ParameterError(f"{templates}: no job templates there; install mpiepm from its repository, as run/setup.sh does")
    queue.folder(campaign).mkdir(parents=True, exist_ok=True)
    identities = []
    for batch in wanted:
        for point in batch.points:
            failures.forget(point.folder)
            rundir.plant(point.folder, point.params)
        identities.append(_sbatch(campaign, batch, templates))
    return identities


def finish(campaign: Campaign, identities: Sequence[str]) -> str:
    """Submit what comes after these jobs: `collect`."""
    site = campaign.site
    options = [f"--dependency=afterany:{':'.join(identities)}", f"--job-name={campaign.name}-finish"]
    options += [f"--output={queue.folder(campaign).resolve()}/%x-%j.out"]
    variables = {"CAMPAIGN": str(campaign.file.resolve()), "OUT": str(campaign.out.resolve())}
    variables["MPIEPM_SITE"] = str(campaign.profile.resolve()) if campaign.profile else ""
    return _call([*options, *_site_options(site), str(_ROOT / "slurm" / "finish.sbatch")], {**_environment(site), **variables})


def _sbatch(campaign: Campaign, batch: Batch, templates: Path) -> str:
    site = campaign.site
    number = f"{len(queue.lists(campaign)) + 1:04d}"
    request = batch.request
    path = queue.folder(campaign).resolve() / f"{number}{'-packed' * request.packed}.list"
    path.write_text("".join(f"{point.folder.resolve()}\n" for point in batch.points), encoding="utf-8")
    output = path.parent / (f"{number}-%j.out" if request.packed else f"{number}-%A_%a.out")
    options = [
        f"--job-name={queue.job_name(campaign, number)}", f"--output={output}", f"--ntasks={batch.cores}",
        f"--nodes={request.nodes}", f"--time={request.walltime}", f"--signal=B:USR1@{site.warning}",
    ]  # fmt: skip
    if request.packed:
        options.append(f"--mem={request.memory * batch.cores // request.ranks}M")
    else:
        options += [f"--array=1-{len(batch.points)}", f"--mem={-(-request.memory // request.nodes)}M"]
    template = templates / ("packed.sbatch" if request.packed else "array.sbatch")
    variables = {"LIST": str(path), "RANKS": str(request.ranks), **_environment(site)}
    try:
        return _call([*options, *_site_options(site), str(template)], variables)
    except ParameterError:
        path.unlink()
        raise


def _site_options(site: Site) -> list[str]:
    return [
        *([f"--partition={site.partition}"] if site.partition else []),
        *([f"--account={site.account}"] if site.account else []),
        *site.options,
    ]


def _environment(site: Site) -> dict[str, str]:
    """What the templates ask for; see slurm/common.sh."""
    return {
        "MPIEPM": str(_ROOT), "MPIEPM_BIN": str(Path(sys.executable).parent), "MODULES": " ".join(site.modules),
        "LAUNCHER": site.launcher, "MAX_RESTARTS": str(site.restarts),
    }  # fmt: skip


def _call(arguments: list[str], variables: dict[str, str]) -> str:
    command = ["sbatch", "--parsable", "--export=ALL", *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("PARAMS", "COMMAND")}  # for hands only
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**environment, **variables})
    except FileNotFoundError:
        raise ParameterError("sbatch: there is no Slurm on this machine") from None
    if done.returncode:
        raise ParameterError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]
