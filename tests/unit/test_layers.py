"""Imports only go down the floors; only grid, io and the command line know MPI."""

import ast
from pathlib import Path

import mpiepm

ROOT = Path(mpiepm.__file__).parent
FLOORS = [
    "core", "grid", "kernels", "models", "engine", "observe", "io", "simulation", "theory", "analysis", "start", "validation",
    "campaign", "cli",
]
ROOMS = {
    "assembly": "simulation", "progress": "simulation", "pulse": "simulation", "status": "simulation", "warmup": "simulation",
    "guard": "simulation", "watchdog": "simulation", "launch": "cli", "doctor": "cli", "doctor_ranks": "cli",
    "commands": "cli", "arguments": "cli", "__main__": "cli", "__init__": "core",
}
KNOW_MPI = {"grid", "io", "cli", "warmup", "doctor_ranks"}
THEORY_IMPORTS = {"core", "theory"}


def room(path: Path) -> str:
    """Name of the room, or top-level module, that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """All modules that a file imports, at the top or inside functions, but not for type checking only."""
    found = []
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
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
            if parts[0] == "mpi4py" and here not in KNOW_MPI:
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


def test_the_walk_sees_imports_inside_functions(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("def f():\n    from mpiepm.cli import main\n    import mpi4py.MPI\n")
    assert imports(source) == ["mpiepm.cli.main", "mpi4py.MPI"]
