"""The command line of ``mpiepm campaign``; apart from what it does, which takes a second to import."""

import argparse
import os
from pathlib import Path


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand and its subcommands."""
    campaign = commands.add_parser(
        "campaign", help="grids of runs: plan, run, submit, watch, gather",
        description="A campaign file (TOML) holds parameters and grids over them; every point has a directory under OUT. "
        "See docs/campaigns.md.",
    )  # fmt: skip
    actions = campaign.add_subparsers(dest="action", required=True)
    for name, help_text in (
        ("plan", "what there is to do, and what it will cost; nothing is begun"),
        ("run", "work through it on this machine; interrupted, the same line goes on"),
        ("status", "finished, running, queued, unfinished, failed (why) or missing"),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("file", type=Path, metavar="FILE", help="campaign file (TOML)")
        action.add_argument("--out", type=Path, metavar="DIR", help="where the runs lie (default: results/NAME)")
        if name == "plan":
            action.add_argument("--measure", action="store_true", help="first measure this machine, half a minute on one core")
        if name == "run":
            action.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help="default: all")
            action.add_argument("--retry", action="store_true", help="failed runs as well")
        if name == "status":
            action.add_argument("--all", action="store_true", help="a line for every point, finished or not")
