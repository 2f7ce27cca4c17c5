"""Atomic writes: a file is complete or absent. No torch, so that commands start quickly."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

WINDOWS = os.name == "nt"
WAIT = 5.0  # seconds
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.(\d{1,10})\.tmp")  # names that `temporary` returns; group 1 is the process


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file completely or not at all, even if the machine crashes: temporary file, fsync, replace, fsync.

    Raises:
        OSError: the disk is full, or the folder cannot be written; an existing file stays unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary(path)
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if not WINDOWS:  # which cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def replace(source: Path, target: Path) -> None:
    """Rename a file, and replace an existing one. On Windows, wait up to WAIT seconds for programs that read it.

    Raises:
        OSError: the file cannot be replaced; both files stay unchanged.
    """
    end = time.monotonic() + (WAIT if WINDOWS else 0)
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)


def temporary(path: Path) -> Path:
    """Return a temporary path in the same folder, for writing or removing a file."""
    short = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()  # `name` may have the maximum length
    return path.with_name(f".{short}.{os.getpid()}.tmp")


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically."""
    write_atomically(path, lambda file: file.write(json.dumps(value, indent=1).encode() + b"\n"))


def is_alive(process: int) -> bool:
    """Return whether a process with this number exists on this machine."""
    if WINDOWS:  # on Windows os.kill ends the process with any signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
