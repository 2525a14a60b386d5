"""The command line of ``mpiepm campaign``; apart from what it does, which takes a second to import."""

import argparse
from pathlib import Path
from typing import Any

from mpiepm.core.cores import available_cores

_ACTIONS = {
    "plan": "what there is to do, and what it will cost; nothing is begun",
    "run": "work through it on this machine; interrupted, the same line goes on",
    "submit": "hand it to Slurm, by the templates of slurm/",
    "status": "which runs are finished, running, queued, unfinished, failed (why) or missing",
    "resume": "whatever is not finished again, the failed as well: on this machine, or by Slurm if it was submitted",
    "collect": "the results of all finished runs, and what they cost: OUT/results.nc, results.csv, campaign.json",
    "report": "a page with all of it: OUT/report.html",
}


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """The subcommand and its subcommands."""
    campaign = commands.add_parser(
        "campaign", help="grids of runs: plan, run, submit, watch, gather",
        description="A campaign file (TOML) holds parameters and grids over them; every point has a directory under OUT. "
        "See docs/campaigns.md.",
    )  # fmt: skip
    actions = campaign.add_subparsers(dest="action", required=True)
    for name, told in _ACTIONS.items():
        action = actions.add_parser(name, help=told, description=told)
        action.add_argument("file", type=Path, metavar="FILE", help="campaign file (TOML)")
        action.add_argument("--out", type=Path, metavar="DIR", help="where the runs lie (default: results/NAME, or on scratch)")
        action.add_argument("--site", type=Path, metavar="TOML", help="site profile (default: the one the file names)")
        if name == "plan":
            action.add_argument("--measure", action="store_true", help="first measure this machine, half a minute on one core")
        if name in ("run", "resume"):
            action.add_argument("--cores", type=int, default=available_cores(), metavar="N",
                                help="on this machine; default: all that this process may use")  # fmt: skip
        if name == "status":
            action.add_argument("--all", action="store_true", help="a line for every run, finished or not")
