"""Units of what a run records: those of its model."""

from dataclasses import dataclass

from mpiepm.core.params import AnyParameters, FerreroParameters
from mpiepm.core.sections import Event


@dataclass(frozen=True)
class Units:
    """Names of the units of time, of a rate and of stress; strains are in units of stress / mu."""

    time: str = "sweeps"
    rate: str = "1/sweep"
    stress: str = "sigma_c"

    def of(self, template: str) -> str:
        """Units of a variable, such as "{stress}^2", by name."""
        return template.format(time=self.time, rate=self.rate, stress=self.stress)


def units(params: AnyParameters) -> Units:
    """Those of the model; time counts events where dynamics are extremal."""
    if isinstance(params, FerreroParameters):
        return Units("tau", "1/tau", "sigma_Y")
    if isinstance(params.engine, Event) and params.engine.dynamics == "extremal":
        return Units("events", "1/event")
    return Units()
