"""Available memory."""

from __future__ import annotations

import re
from pathlib import Path

DEFAULT = 2 << 30  # bytes, if the amount is unknown


def available() -> int:
    """Return the available memory in bytes: Linux's estimate, at most the limit of the container."""
    try:
        (kilobytes,) = re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
        free = 1024 * int(kilobytes)
        limit, used = (Path("/sys/fs/cgroup", f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
    except FileNotFoundError as error:
        return free if "cgroup" in str(error.filename) else DEFAULT
    except ValueError:  # no such line
        return DEFAULT
