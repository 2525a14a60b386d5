"""Which revision of the sources runs."""

import subprocess
from pathlib import Path

NOTED = "revision.txt"  # in a package that was built, written by setup.py


def git_revision() -> str:
    """Revision of the sources that run: of their own repository, marked if modified, or as noted when the package was built.

    "unknown" if there is neither. The repository that an installed package happens to lie in is not asked.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        noted = package / NOTED
        return noted.read_text(encoding="utf-8").strip() if noted.exists() else "unknown"
    trusted = f"safe.directory={package.parent}"  # be it another user's
    git = ["git", "-c", trusted, "-C", str(package.parent)]
    try:
        _ask([*git, "ls-files", "--error-unmatch", str(package / "__init__.py")])
        return _ask([*git, "describe", "--always", "--dirty", "--abbrev=12"])
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _ask(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
