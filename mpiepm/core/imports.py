"""Python files of the user with models or observers of their own: imported, they register what they define."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

from mpiepm.core.faults import ParameterError


@cache
def load(path: Path) -> None:
    """Import the file `path`, absolute, once in a process.

    Raises
    ------
    ParameterError : if there is no such file, or it cannot be imported
    """
    given = f"imports = {str(path)!r}"
    if not path.is_file():
        raise ParameterError(f"{given}: no such file")
    name = f"mpiepm_user_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ParameterError(f"{given}: must be a Python file")
    sys.modules[name] = module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise ParameterError(f"{given}: cannot be imported: {type(error).__name__}: {error}") from error
