"""The state at the end of a run, in the group `final` of its archive: what another run needs to start from it."""

from mpiepm.models.state import State
from mpiepm.observe.base import Record, Variable

_TIME = Variable("final/time", ("end",), "f8", "{time}", "since the start of the run")
_STRESS = Variable("final/stress", ("end", "x", "y"), "f8", "{stress}", "local stress", distributed=True)
_STRAIN = Variable("final/plastic_strain", ("end", "x", "y"), "f8", "{stress}/mu", "local plastic strain", distributed=True)
_ACTIVE = Variable("final/active", ("end", "x", "y"), "i1", "1", "sign where active, else 0", distributed=True)


def variables(state: State) -> list[Variable]:
    """What `record_final` records: of a model with events of finite duration also who is active."""
    return [_TIME, _STRESS, _STRAIN, *([_ACTIVE] if state.active is not None else [])]


def record_final(state: State, record: Record) -> None:
    """Record the present as the end: the fields as a snapshot would show them."""
    record(_TIME.name, state.origin_time + state.time)
    record(_STRESS.name, state.stress)
    record(_STRAIN.name, state.plastic_strain)
    if state.active is not None:
        record(_ACTIVE.name, state.active)
