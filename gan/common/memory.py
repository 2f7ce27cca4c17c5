"""Available memory."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from pathlib import Path

ARENAS = 2
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


def share_arenas() -> None:
    """Let the threads of this process share two pools of memory, and return freed memory to the system.

    glibc gives each thread a pool of its own. A server whose 40 threads serve bursts of calls kept 20 MB more after
    each burst; with shared pools it keeps 13 MB after seven.
    """
    with suppress(OSError, AttributeError, TypeError):  # no glibc; on Windows CDLL needs a name
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((-8, ARENAS), (-1, 1 << 17)):  # M_ARENA_MAX and M_TRIM_THRESHOLD of malloc.h
            mallopt(option, value)
