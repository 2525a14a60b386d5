"""run/setup.sh: what is done for this folder is not done again, and what was done for another is."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKES_NOTHING = '#!/bin/bash\n[ "$1" = -c ] || { echo "new environment"; exit 1; }\n'


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks as if it had been set up."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "run", folder / "run")
    shutil.copy(ROOT / "pyproject.toml", folder)
    inputs = [folder / "run" / "setup.sh", *sorted((folder / "run").glob("requirements*.txt")), folder / "pyproject.toml"]
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()[:16]
    for name in ("python", "mpiepm"):
        program(folder / ".venv" / "bin" / name, "#!/bin/bash\n")
    (folder / ".venv" / ".mpiepm-setup").write_text(f"{stamp} test debian\n")
    (folder / ".venv" / ".mpiepm-place").write_text(f"{folder}\n")
    program(tmp_path / "python", MAKES_NOTHING)
    return folder


def setup(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": str(folder.parent / "python")}
    environment.pop("MPIEPM_STACK", None)
    return subprocess.run([folder / "run" / "setup.sh", "--test"], env=environment, capture_output=True, text=True)


def test_nothing_is_done_twice(checkout: Path) -> None:
    done = setup(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("how", ["moved", "copied", "without its Python"])
def test_a_folder_that_has_changed_is_set_up_anew(how: str, checkout: Path) -> None:
    elsewhere = checkout.parent / "elsewhere"
    if how == "moved":
        checkout.rename(elsewhere)
    elif how == "copied":
        shutil.copytree(checkout, elsewhere)
    else:
        elsewhere = checkout
        (checkout / ".venv" / "bin" / "python").unlink()
    done = setup(elsewhere)
    assert "made for another place, or with a Python that is gone" in done.stderr
    assert "new environment" in done.stdout
    assert not (elsewhere / ".venv" / ".mpiepm-setup").exists()
