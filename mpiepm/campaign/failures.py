"""Why a run failed, kept beside it until it is tried again: failed.txt, the reason in its first line.

The templates of slurm/ write the same file.
"""

from pathlib import Path

NAME = "failed.txt"


def record(folder: Path, why: str, details: str = "") -> None:
    """Keep the reason, where there is a directory to keep it in."""
    if folder.is_dir():
        (folder / NAME).write_text(f"{why}\n{details}", encoding="utf-8")


def forget(folder: Path) -> None:
    """The run is tried again."""
    (folder / NAME).unlink(missing_ok=True)


def reason(folder: Path) -> str | None:
    """Why the run failed: the first line, and what mpiepm said last or a launcher first; None if it has not failed."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    own = [line for line in lines[1:] if line.startswith("mpiepm: ")]
    if lines and lines[0].startswith("exit code") and not own:  # which alone tells nothing
        own = [line.strip() for line in lines[1:] if any(map(str.isalpha, line))][:1]
    return "; ".join([*lines[:1], *own[-1:]]) or "unknown"
