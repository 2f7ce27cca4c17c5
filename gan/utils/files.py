"""Files that are complete or absent, and safe names for them. No torch, so that commands start quickly.

No name from data makes a command write outside of its folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from gan.utils.errors import UserError
from gan.utils.output import is_invisible

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
    short = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()  # `name` may have the maximum length
    return path.with_name(f".{short}.{os.getpid()}.tmp")


def refuse_existing(files: Sequence[Path], force: bool = False, option: str = "") -> None:
    """Raise UserError if one of the files to write exists and `force` is not set."""
    if not force and (existing := [path for path in files if path.exists()]):
        count = f" ({len(existing)} of {len(files)} files exist)" if len(files) > 1 else ""
        raise UserError(f"{option}{existing[0]}: exists already{count}; use --force to overwrite, or another name")


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write the whole content of a file, atomically; raise OSError as `write_atomically`."""
    write_atomically(path, lambda file: file.write(data))


def write_json(path: Path, value: object) -> None:
    write_bytes(path, json.dumps(value, indent=1).encode() + b"\n")


def without_formula(cell: object) -> Any:
    """Return a cell of a CSV file that a spreadsheet does not read as a formula: such text gets a '. Numbers stay."""
    if not isinstance(cell, str) or not cell.lstrip().startswith(("=", "+", "-", "@")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def is_alive(process: int) -> bool:
    """Return whether a process with this number exists on this machine."""
    if WINDOWS:  # os.kill ends the process with any signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        pass
    return True


MAX_PART = 255  # bytes of a file's or folder's name on common file systems
MAX_PATH = 1024  # bytes of all parts together
MAX_CLEANED = 80  # maximum number of characters that a cleaned name keeps
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[\\:*?"<>|]')  # on Windows, where the first two also change the folder
CLEANED = re.compile(r".*~[0-9a-f]{20}")  # names that were changed


def file_name(name: str, suffix: str = "") -> str:
    """Return a safe relative path for a name from data, with a suffix such as ".png".

    A name that is safe on every system stays unchanged, including "/" between its parts. Other names keep only harmless
    characters and get a digest of the whole name, so that different names give different paths.
    """
    if is_safe(name, suffix):
        return name + suffix
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    kept = re.sub(r"[^\w.-]+", "_", name)[:MAX_CLEANED].strip("._")
    while len(kept.encode()) > MAX_PART // 2:
        kept = kept[:-1]
    return f"{kept or '_'}~{digest}{suffix}"


def is_safe(name: str, suffix: str = "") -> bool:
    """Return whether a name is a valid path below a folder on every system, and not one that was changed."""
    if any(map(is_invisible, name)) or FORBIDDEN.search(name) or CLEANED.fullmatch(name):
        return False
    *folders, last = name.split("/")
    parts = [*folders, last + suffix]
    if any(len(part.encode()) > MAX_PART for part in parts) or len((name + suffix).encode()) > MAX_PATH:
        return False
    # Not empty, hidden, "." or "..", not shortened by Windows, and not the name of a device.
    plain = all(part and part[0] != "." and part[-1] not in ". " for part in (*folders, last))
    return plain and not any(map(RESERVED.fullmatch, parts))


def is_text(value: str) -> bool:
    try:
        value.encode("utf-8", "surrogateescape")  # names of folders may have any bytes
    except UnicodeEncodeError:
        return False
    return True
