"""Imports only go down the floors; only grid, io and the command line know MPI."""

import ast
import re
from pathlib import Path

import mpiepm

ROOT = Path(mpiepm.__file__).parent
FLOORS = [
    "core", "grid", "kernels", "models", "engine", "observe", "io", "runtime", "simulation", "theory", "analysis", "start",
    "validation", "campaign", "cli",
]
ROOMS = {  # files beside the rooms, and the floor that they are on
    "phases": "observe", "assembly": "simulation", "recorded": "simulation", "loop": "simulation", "warmup": "simulation",
    "doctor": "cli", "doctor_ranks": "cli", "commands": "cli", "arguments": "cli", "__main__": "cli", "__init__": "core",
}
KNOW_MPI = {"grid", "cli", "warmup", "doctor_ranks"}
FOR_TYPES = {("start", "mpi4py.MPI"), ("commands", "mpi4py.MPI")}  # they are handed the communicator
THEORY_IMPORTS = {"core", "theory"}


def room(path: Path) -> str:
    """Name of the room, or top-level module, that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """All modules that a file imports, at the top, inside functions or for type checking."""
    found = []
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def violations() -> list[str]:
    lines = []
    for path in sorted(ROOT.rglob("*.py")):
        here = room(path)
        floor = FLOORS.index(ROOMS.get(here, here))
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "mpi4py" and here not in KNOW_MPI and (here, name) not in FOR_TYPES:
                lines.append(f"{path.name} imports MPI")
            if parts[0] != "mpiepm" or len(parts) < 2 or parts[1] == "__version__":
                continue
            if here == "theory" and parts[1] not in THEORY_IMPORTS:
                lines.append(f"theory/{path.name} imports {name}")
            if FLOORS.index(ROOMS.get(parts[1], parts[1])) > floor:
                lines.append(f"{here}/{path.name} imports {name}, which is above it")
    return lines


def test_imports_only_go_down() -> None:
    assert violations() == []


def test_only_grid_spells_a_communicator() -> None:
    spelled = re.compile(r"domain\._?comm\b")
    others = [path for path in ROOT.rglob("*.py") if room(path) != "grid"]
    assert [path.name for path in others if spelled.search(path.read_text())] == []


def test_no_room_but_models_names_a_model() -> None:
    named = re.compile(r"\b(epmq|Epmq|ferrero|Ferrero)\b(?!, Martens| et al)")
    others = [path for path in ROOT.rglob("*.py") if room(path) != "models"]
    lines = [(path.name, line) for path in others for line in path.read_text().splitlines()]
    assert [(name, line) for name, line in lines if named.search(line)] == []


def test_the_walk_sees_imports_inside_functions(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("def f():\n    from mpiepm.cli import main\n    import mpi4py.MPI\n")
    assert imports(source) == ["mpiepm.cli.main", "mpi4py.MPI"]
