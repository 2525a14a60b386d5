"""Collapses that `mpiepm scaling` does not try: T_c or a correction free, no L = 32. The argument: where the runs lie."""

import sys
from pathlib import Path

from mpiepm.analysis import scaling
from mpiepm.analysis.collapse import collapse
from mpiepm.analysis.ensembles import ensembles
from mpiepm.analysis.scaling_table import describe

VARIANTS: list[tuple[str, tuple[str, ...], dict[str, float], int]] = [  # quantity, free, given, smallest L
    ("chi4_peak", ("a", "inverse_nu"), {}, 32),
    ("chi4_peak", ("inverse_nu",), {"a": 2.0}, 32),
    ("chi4_peak", ("a", "inverse_nu"), {}, 64),
    ("chi4_peak", ("a", "inverse_nu", "T_c"), {}, 32),
    ("chi4_peak", ("a", "inverse_nu", "b"), {"omega": 1.0}, 32),
    ("second_moment_length", ("inverse_nu",), {"a": 1.0}, 32),
    ("second_moment_length", ("inverse_nu",), {"a": 1.0}, 64),
    ("second_moment_length", ("inverse_nu", "b"), {"a": 1.0, "omega": 1.0}, 32),
]


def main() -> None:
    """Print one line for each variant."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "results/finite_size_scaling")
    (family,) = scaling.families(ensembles(sorted(path.parent for path in root.rglob("archive.h5")))).values()
    table = scaling.size_table(family)
    for quantity, free, given, smallest in VARIANTS:
        points = scaling.points(table, quantity)
        best = collapse(points.where(points.length >= smallest), free, given)
        fixed = "".join(f", {name} = {value:g}" for name, value in given.items())
        print(f"{quantity}, L >= {smallest}{fixed}: {describe(best)}", flush=True)


if __name__ == "__main__":
    main()
