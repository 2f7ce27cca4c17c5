"""How much memory there is."""

from __future__ import annotations

import re
from pathlib import Path

FREE = 2 << 30  # bytes, where the system does not say


def available() -> int:
    """Bytes of memory that can be taken: what Linux says, within the limit of the container."""
    try:
        (kilobytes,) = re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
        free = 1024 * int(kilobytes)
        most, now = (Path("/sys/fs/cgroup", f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if most == "max" else max(0, min(free, int(most) - int(now)))
    except FileNotFoundError as error:
        return free if "cgroup" in str(error.filename) else FREE
    except ValueError:  # no such line
        return FREE
