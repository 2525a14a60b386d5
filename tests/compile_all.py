"""Compile what the tests use, once and before anything is timed: every engine, with everything that observes it."""

from mpiepm.models.parameters import parse
from mpiepm.warmup import rehearse

EPMQ = """
model.temperature = 0.1
run.origins = 2
[output]
correlations = {}
four_point = {}
clusters = {}
avalanches = {}
waiting_times = true
event_counts = true
snapshots = [1.0]
"""
FERRERO = """
model = { name = "ferrero", temperature = 0.2 }
run = { equilibrate = { time = 1 }, duration = 5 }
tracers.number = 4
output = { event_counts = true, snapshots = [1.0] }
"""
RUNS = [
    (EPMQ, ["engine.name=sweep"]),
    (EPMQ, ["engine.name=event"]),
    (EPMQ, ["engine={name='split', radius=5, strip=10}"]),
    (EPMQ, ["engine={name='event', dynamics='extremal'}", "model.temperature=0", "output.avalanches={gaps=[]}"]),
    (FERRERO, []),
]

if __name__ == "__main__":
    for text, overrides in RUNS:
        rehearse(parse(text, ["lattice.size=[22, 17]", *overrides]))
