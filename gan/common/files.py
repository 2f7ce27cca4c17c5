"""Writing files so that each is whole or not there. No torch, so that commands start at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.(\d{1,10})\.tmp")  # of `temporary`, with its process


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole or not at all, even if the machine stops: temporary file beside it, fsync, replace, fsync.

    Raises:
        OSError: the disk is full or the folder cannot be written; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary(path)
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def temporary(path: Path) -> Path:
    """A file beside another, for what is being written or removed; `mend` knows such names."""
    short = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()  # a name may be as long as names can be
    return path.with_name(f".{short}.{os.getpid()}.tmp")


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, lambda file: file.write(json.dumps(value, indent=1).encode() + b"\n"))


def is_alive(process: int) -> bool:
    """Whether a process of that number is there, on this machine."""
    if os.name == "nt":  # where os.kill ends it, whatever the signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
