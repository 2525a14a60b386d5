"""What pyproject.toml cannot say: a built package notes the revision of its sources (`mpiepm.io.provenance.git_revision`)."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRevision(build_py):
    """Write mpiepm/revision.txt beside the built modules; an editable installation asks git itself."""

    def run(self) -> None:
        """Build."""
        super().run()
        folder = Path(__file__).resolve().parent
        command = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
        if not self.editable_mode and (folder / ".git").exists():
            revision = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            Path(self.build_lib, "mpiepm", "revision.txt").write_text(revision, encoding="utf-8")


setup(cmdclass={"build_py": BuildWithRevision})
