"""Hand points to Slurm, by the templates of slurm/: arrays of equal jobs, small runs packed; and then `collect`."""

import importlib.metadata
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mpiepm
from mpiepm.campaign import failures, queue
from mpiepm.campaign.cost import Cost
from mpiepm.campaign.grid import Campaign, Point
from mpiepm.campaign.site import Site
from mpiepm.core.amounts import number_of
from mpiepm.core.faults import ParameterError
from mpiepm.io import rundir

_MARGIN = 1.5      # of memory over the prediction
_COLLECTING = 240  # minutes, at most
# Settings of the job that submits, if one does, and what is meant for templates that are used by hand
_OTHER_JOBS = re.compile(r"(?!SLURM_(CONF|CLUSTERS)$)SLURM_.*|PARAMS|COMMAND")


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
    """Points of one call of sbatch; in each of its jobs so many go on side by side."""

    request: Request
    points: tuple[Point, ...]
    side_by_side: int

    @property
    def jobs(self) -> int:
        """Of Slurm."""
        return 1 if self.request.packed else len(self.points)

    @property
    def cores(self) -> int:
        """Of a job."""
        return self.request.ranks * self.side_by_side

    @property
    def memory(self) -> int:
        """Of a job, MB, all nodes together."""
        return self.request.memory * self.side_by_side


def batches(campaign: Campaign, todo: Sequence[Point], predicted: dict[str, Cost], site: Site, limit: int) -> list[Batch]:
    """The calls of sbatch that these points take, the longest runs first.

    Raises
    ------
    ParameterError : if a point asks for more than a node of the site has, or for no more time than a warning takes
    """
    groups: dict[Request, list[Point]] = {}
    for point in sorted(todo, key=lambda point: -predicted[point.name].seconds):
        groups.setdefault(_request(campaign, point, predicted[point.name], site), []).append(point)
    found = []
    for request, points in groups.items():
        packing = campaign.packing if request.packed else None
        most, room = (packing.points, packing.cores // request.ranks) if packing else (limit, 1)
        for first in range(0, len(points), most):
            part = tuple(points[first : first + most])
            batch = Batch(request, part, min(room, len(part)))
            if packing and site.memory_per_node and batch.memory > site.memory_per_node * 1e3:
                raise ParameterError(
                    f"{part[0].name}: packing.cores = {packing.cores}: {batch.side_by_side} runs side by side need "
                    f"{batch.memory / 1e3:.3g} GB: a node of {site.name} has {site.memory_per_node:g} GB"
                )
            found.append(batch)
    return found


def _request(campaign: Campaign, point: Point, cost: Cost, site: Site) -> Request:
    needs, packing = point.resources, campaign.packing
    if needs.walltime <= site.warning:
        raise ParameterError(
            f"{point.name}: resources.walltime = {needs.walltime:g} s, warning = {site.warning} s of {site.name}: "
            "walltime must be above warning, or a job is told to end as it begins"
        )
    memory = needs.memory * 1e9 if needs.memory else _MARGIN * cost.memory
    packed = packing is not None and needs.nodes == 1 and needs.ranks <= packing.ranks and cost.seconds < packing.longest
    cores = packing.cores if packed and packing else -(-needs.ranks // needs.nodes)
    if site.cores_per_node and cores > site.cores_per_node:
        what = f"packing.cores = {cores}" if packed else f"resources.ranks = {needs.ranks}, nodes = {needs.nodes}"
        raise ParameterError(f"{point.name}: {what}: a node of {site.name} has {number_of(site.cores_per_node, 'core')}")
    if site.memory_per_node and memory > needs.nodes * site.memory_per_node * 1e9:
        raise ParameterError(
            f"{point.name}: {memory / 1e9:.3g} GB on {number_of(needs.nodes, 'node')}: "
            f"a node of {site.name} has {site.memory_per_node:g} GB"
        )
    rounded = 256 * math.ceil(memory / 256e6)  # so that points of nearly the same need share an array
    return Request(needs.ranks, needs.nodes, max(1, -(-int(needs.walltime) // 60)), rounded, packed)


def array_limit(site: Site) -> int:
    """Jobs in an array: what the profile says, or Slurm, whose largest index is MaxArraySize - 1.

    Raises
    ------
    NoAnswerError : if Slurm is asked and does not answer
    """
    if site.array_limit:
        return site.array_limit
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", queue.call(["scontrol", "show", "config"]).stdout)
    return max(int(match[1]) - 1, 1) if match else 1000


def _root() -> Path:
    """The folder that slurm/ lies in: the checkout, or where the package's data files are installed.

    Raises
    ------
    ParameterError : if there is none
    """
    checkout = Path(mpiepm.__file__).resolve().parents[1]
    if (checkout / "slurm" / "common.sh").exists():
        return checkout
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("mpiepm") or ():
            if file.parts[-2:] == ("slurm", "common.sh"):
                return Path(str(file.locate())).resolve().parents[1]
    raise ParameterError(f"{checkout / 'slurm'}: no job templates there; install mpiepm with pip, or from its repository")


def submit(campaign: Campaign, wanted: Sequence[Batch]) -> Iterator[tuple[Batch, str]]:
    """Hand them to Slurm, when all run directories are there: each, and the number of its job, as soon as it is accepted.

    Raises
    ------
    ParameterError : if a directory cannot be made, or sbatch refuses; what was accepted before stays
    """
    templates = _root() / "slurm"
    before = queue.newest(campaign)
    for point in (point for batch in wanted for point in batch.points):
        rundir.plant(point.folder, point.params)
    for number, batch in enumerate(wanted, before + 1):
        failed = {point.folder: why for point in batch.points if (why := failures.reason(point.folder))}
        identity = _sbatch(campaign, batch, f"{number:04d}", templates)
        for folder, why in failed.items():
            if why == failures.reason(folder):  # it may have failed again already
                failures.forget(folder)
        yield batch, identity


def finish(campaign: Campaign, identities: Sequence[str], walltime: int) -> str:
    """Submit what comes after these jobs, `collect`; it asks for no more minutes than they, up to `_COLLECTING`."""
    site = campaign.site
    options = [f"--dependency=afterany:{':'.join(identities)}", f"--job-name={campaign.name}-finish"]
    options += [f"--time={min(walltime, _COLLECTING)}"]
    options += [f"--output={queue.folder(campaign).resolve()}/%x-%j.out"]
    variables = {"CAMPAIGN": str(campaign.file.resolve()), "OUT": str(campaign.out.resolve())}
    variables["MPIEPM_SITE"] = str(campaign.profile.resolve()) if campaign.profile else ""
    template = _root() / "slurm" / "finish.sbatch"
    return _call([*options, *_site_options(site), str(template)], {**_environment(site), **variables})


def _sbatch(campaign: Campaign, batch: Batch, number: str, templates: Path) -> str:
    site, request, name = campaign.site, batch.request, queue.job_name(campaign, number)
    path = queue.folder(campaign).resolve() / f"{number}{'-packed' * request.packed}.list"
    try:
        with path.open("x", encoding="utf-8") as file:  # another's would be that of its job
            file.writelines(f"{point.folder.resolve()}\n" for point in batch.points)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be written: {error.strerror}") from None
    output = path.parent / (f"{number}-%j.out" if request.packed else f"{number}-%A_%a.out")
    options = [
        f"--job-name={name}", f"--output={output}", f"--ntasks={batch.cores}",
        f"--nodes={request.nodes}", f"--time={request.walltime}", f"--signal=B:USR1@{site.warning}",
    ]  # fmt: skip
    if not request.packed:
        options.append(f"--array=1-{len(batch.points)}")
    if site.memory == "per node":
        options.append(f"--mem={-(-batch.memory // request.nodes)}M")
    elif site.memory == "per core":
        options.append(f"--mem-per-cpu={-(-batch.memory // batch.cores)}M")
    template = templates / ("packed.sbatch" if request.packed else "array.sbatch")
    variables = {"LIST": str(path), "RANKS": str(request.ranks), **_environment(site)}
    try:
        return _call([*options, *_site_options(site), str(template)], variables)
    except ParameterError as error:
        with suppress(queue.NoAnswerError):  # then nobody knows, and the list must stay
            if identity := queue.accepted(name):
                return identity
            if not isinstance(error, queue.NoAnswerError):  # else the job may still come
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
        "MPIEPM": str(_root()), "MPIEPM_BIN": str(Path(sys.executable).parent), "MODULES": " ".join(site.modules),
        "LAUNCHER": site.launcher, "MAX_RESTARTS": str(site.restarts),
    }  # fmt: skip


def _call(arguments: list[str], variables: dict[str, str]) -> str:
    command = ["sbatch", "--parsable", "--export=ALL", *arguments]
    environment = {key: value for key, value in os.environ.items() if not _OTHER_JOBS.fullmatch(key)}
    done = queue.call(command, {**environment, **variables})
    if done.returncode:
        raise ParameterError(f"{' '.join(command)}: {'; '.join(done.stderr.strip().splitlines())}")
    return done.stdout.strip().split(";")[0]
