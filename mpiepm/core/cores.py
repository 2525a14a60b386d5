"""How many cores this process may use, which can be fewer than the machine has."""

import math
import os
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores(own: Path = Path("/proc/self/cgroup"), cgroups: Path = _CGROUPS) -> int:
    """Cores that this process is bound to, or the share of processor time that its control groups allow, if that is less.

    Parameters
    ----------
    own : file that names the control groups of this process;  cgroups : where they are mounted
    """
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), _share(own, cgroups))))


def _share(own: Path, cgroups: Path) -> float:
    """Processor time over time, by the tightest limit of the control groups (version 2, and 1 where it is still in use)."""
    share = math.inf
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            folder = cgroups / ("cpu" if controllers else "") / path.lstrip("/")
            for group in (folder, *folder.parents):
                share = min(share, _limit(group))
                if group == cgroups:
                    break
    return share


def _limit(group: Path) -> float:
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return float(quota) / float(period)  # "max": no limit
    with suppress(OSError, ValueError):
        quota = (group / "cpu.cfs_quota_us").read_text()
        if float(quota) > 0:
            return float(quota) / float((group / "cpu.cfs_period_us").read_text())
    return math.inf
