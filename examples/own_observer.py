"""An observer of one's own in one file: skewness and kurtosis of the local stress, 0 and 3 for a Gaussian.

mpiepm run --import examples/own_observer.py params.toml --set output.stress_moments=true
"""

from typing import Any

from pydantic import Field

from mpiepm.models.state import State
from mpiepm.observe.base import Observer, Record, Setting, Variable


class StressMoments(Observer):
    """Central moments of the stress over powers of its variance, at the lags of the series."""

    name = "stress_moments"
    watches_equilibration = True
    variables = (Variable("stress_moments/time", ("moment",), "f8", "{time}", "since the start of the run"),
                 Variable("stress_moments/skewness", ("moment",), "f8", "1", "<(s - <s>)^3> / variance^(3/2)"),
                 Variable("stress_moments/kurtosis", ("moment",), "f8", "1", "<(s - <s>)^4> / variance^2"))  # fmt: skip

    def __init__(self, setting: Setting) -> None:
        self.domain, self.schedule = setting.domain, setting.often

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        return {"stress_moments": (bool, Field(default=False, description="skewness and kurtosis of the stress"))}

    wanted = classmethod(lambda cls, params: params.output.stress_moments)
    make = classmethod(lambda cls, setting: cls(setting))

    def sample(self, state: State, lag: float, record: Record) -> None:
        centred = state.stress - self.domain.sum_power(state.stress) / self.domain.sites
        two, three, four = (self.domain.sum_power(centred, n) / self.domain.sites for n in (2, 3, 4))
        values = (state.origin_time + state.time, three / two**1.5, four / two**2)
        for variable, value in zip(self.variables, values, strict=True):
            record(variable.name, value)
