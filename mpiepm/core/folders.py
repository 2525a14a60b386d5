"""Where files of the user are kept that can be made again."""

import os
from pathlib import Path


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/mpiepm``, or ``~/.cache/mpiepm``; it need not exist.

    Raises
    ------
    RuntimeError : if this user has no home
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mpiepm"
