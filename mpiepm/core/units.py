"""Units of what a run records; its model says which."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """Names of the units of time, of a rate and of stress; strains are in units of stress / mu."""

    time: str
    rate: str
    stress: str

    def of(self, template: str) -> str:
        """Units of a variable, such as "{stress}^2", by name."""
        return template.format(time=self.time, rate=self.rate, stress=self.stress)
