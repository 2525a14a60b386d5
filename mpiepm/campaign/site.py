"""Site profiles: what is special about a cluster."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mpiepm.campaign.speed import Factors, Machine
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import Positive, Section
from mpiepm.models.parameters import load_toml, validated

Count = Annotated[int, Field(ge=1)]


class Site(Section):
    """A site profile; without one these defaults hold."""

    name: str = Field(default="this cluster")
    partition: str | None = Field(default=None)
    account: str | None = Field(default=None)
    options: Annotated[tuple[str, ...], Field(strict=False)] = Field(default=(), description="further options of sbatch")
    modules: Annotated[tuple[str, ...], Field(strict=False)] = Field(default=(), description="for `module load`")
    launcher: str = Field(default="mpirun", description="starts the ranks of a run")
    scratch: str | None = Field(default=None, description="folder in which campaigns lie unless --out says otherwise")
    array_limit: Count | None = Field(default=None, description="jobs in an array; default: as scontrol tells it")
    cores_per_node: Count | None = Field(default=None)
    memory_per_node: Positive | None = Field(default=None, description="GB")
    memory: Literal["per node", "per core", "none"] = Field(
        default="per node", description="how sbatch is asked for memory: --mem, --mem-per-cpu, or not at all"
    )
    warning: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=180, description="seconds before the end of its time at which a job is told; Slurm knows no more"
    )
    restarts: Annotated[int, Field(ge=0)] = Field(default=1000, description="after so many a job is not requeued any more")
    factors: Factors = Field(default=Factors(), description="time of each engine over the built-in one")

    @property
    def machine(self) -> Machine | None:
        """For predictions, if the profile says how fast it is."""
        return Machine(self.name, known) if (known := self.factors.known()) else None

    def folder(self, campaign: str) -> Path | None:
        """Where a campaign lies on scratch.

        Raises
        ------
        ParameterError : if the folder has a variable or user in it that is not known
        """
        if self.scratch is None:
            return None
        folder = os.path.expanduser(os.path.expandvars(self.scratch))
        if "$" in folder or folder.startswith("~"):
            raise ParameterError(f"scratch = {self.scratch!r} of {self.name}: a variable or user in it is unknown; give --out")
        return Path(folder) / campaign


def load(path: Path) -> Site:
    """The profile of a file.

    Raises
    ------
    ParameterError : if there is something else in it
    """
    return validated(Site, load_toml(path), str(path))
