"""[output] four_point, clusters: what observers of the mobility maps have in common."""

from typing import Annotated

from pydantic import Field

from mpiepm.core.schedule import LogSpaced
from mpiepm.core.sections import Section
from mpiepm.models.parameters import Parameters


class Maps(Section):
    """Lags at which the mobility maps of every origin are looked at."""

    per_decade: Annotated[int, Field(ge=1, le=1000)] = Field(default=4, description="lags per factor of ten")


def lags(params: Parameters, section: Maps) -> LogSpaced:
    """The first lag is that of output.lags."""
    return LogSpaced(params.output.lags.first, section.per_decade)
