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


def setup(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("MPIEPM_STACK", "EBROOTHDF5")}
    environment |= {"PYTHON": str(folder.parent / "python"), **variables}
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


@pytest.mark.parametrize("variable", ["HDF5_ROOT", "EBROOTHDF5"])
@pytest.mark.parametrize("parallel", [True, False])
def test_hdf5_of_a_cluster(parallel: bool, variable: str, checkout: Path) -> None:
    """A serial one is not built against: one line, and h5py from PyPI, with which rank 0 writes."""
    root, calls = checkout.parent / "hdf5", checkout.parent / "calls"
    (root / "include").mkdir(parents=True)
    define = "#define H5_HAVE_PARALLEL 1" if parallel else "/* #undef H5_HAVE_PARALLEL */"
    (root / "include" / "H5pubconf.h").write_text(f"{define}\n")
    for python in (checkout / ".venv" / "bin" / "python", checkout.parent / "python"):
        program(python, f'#!/bin/bash\necho "HDF5_MPI=${{HDF5_MPI:-}} HDF5_DIR=${{HDF5_DIR:-}} $*" >> {calls}\n')
    nowhere = {"XDG_CACHE_HOME": "", "HOME": "/dev/null", "HDF5_ROOT": "", "HDF5_DIR": "", "HDF5_HOME": ""}
    done = setup(checkout, MPIEPM_STACK="cluster", **{**nowhere, variable: str(root)})
    assert done.returncode == 0, done.stderr
    built = f"HDF5_MPI=ON HDF5_DIR={root} -m pip" in calls.read_text()
    wheel = "install --force-reinstall --no-deps h5py==" in calls.read_text()
    assert (built, wheel) == (parallel, not parallel)
    assert ([line for line in done.stderr.splitlines() if f"{root} is no parallel HDF5" in line] == []) == parallel
