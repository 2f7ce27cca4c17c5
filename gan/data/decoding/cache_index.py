"""The cache on disk: its folder, and the index of each entry.

The cache is one folder, which can be removed at any time: $RETRO_GAN_CACHE, or by default ~/.cache/retro-gan. Each
combination of source and options has an entry: a folder with a file of pixels, which only grows, and an index, which is
replaced atomically.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.files import replace
from gan.common.untrusted import read_json
from gan.data.decoding.decode import Decoder

RUNS = "runs"  # folder with copies of runs in object storage, see gan/run/remote.py
SHARDS = "shards"  # folder with shards that were downloaded, see gan/data/shards/storage.py
IMAGES, FEATURES = "images", "features"  # folders with pixels, and with features of real images
PARTS = (IMAGES, FEATURES, RUNS, SHARDS)
MAX_INDEX_BYTES = 1 << 30  # enough for some millions of files


def folder() -> Path:
    """Return the folder of the cache, which may not exist yet."""
    base = os.environ.get("RETRO_GAN_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "retro-gan"


class Item(NamedTuple):
    """One item of a source: its images are the rows first .. first + rows - 1."""

    stamp: Any
    digest: str  # digest of its content; empty if it could not be read
    first: int
    rows: int  # 0 if it could not be decoded
    error: str  # why it could not be decoded
    pixel_art: int = 0  # number of rows that resample=auto resized with nearest


class Index(NamedTuple):
    file: str  # name of the file of pixels
    rows: int  # number of images in that file, including images that no item uses any more
    items: dict[str, Item]  # by key
    about: dict[str, Any]  # source, options and shape of an image


def image_shape(decoder: Decoder) -> tuple[int, int, int]:
    """Return the shape (H, W, C) of an image in the file of pixels."""
    return (*decoder.size, decoder.channels)


def read(entry: Path, decoder: Decoder | None = None) -> Index | None:
    """Return the index of an entry; None if it is missing or invalid, or if the decoder has another image shape."""
    try:
        table = read_json(entry / "index.json", MAX_INDEX_BYTES)
        items = {name: Item(*values) for name, values in table["items"].items()}
        index = Index(table["file"], table["rows"], items, table["about"])
        fits = decoder is None or tuple(index.about["shape"]) == image_shape(decoder)
        return index if _is_valid(entry, index) and fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_valid(entry: Path, index: Index) -> bool:
    """Return whether the file is in the entry and contains all rows. Other users may write to a shared cache."""
    shape, about = index.about["shape"], (index.about["source"], index.about["options"])
    if not re.fullmatch(r"pixels-\d+", index.file, re.ASCII) or not _are_counts(index.rows, *shape) or len(shape) != 3:
        return False
    if not isinstance(about[0], list) or not isinstance(about[1], dict):
        return False
    status = os.lstat(entry / index.file)
    if not stat.S_ISREG(status.st_mode) or status.st_size < index.rows * math.prod(shape):
        return False
    return all(
        _are_counts(item.first, item.rows, item.pixel_art)
        and item.first + item.rows <= index.rows
        and isinstance(item.digest, str)
        and isinstance(item.error, str)
        for item in index.items.values()
    )


def _are_counts(*values: Any) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def write(entry: Path, index: Index) -> None:
    """Replace the index of an entry atomically."""
    temporary = entry / f"index-{os.getpid()}.json"
    temporary.unlink(missing_ok=True)  # it may be a link
    with open(temporary, "w") as file:
        file.write(json.dumps(index._asdict()))  # json.dump is slower, because it encodes in Python
        file.flush()
        os.fsync(file.fileno())
    replace(temporary, entry / "index.json")


def touch(entry: Path) -> None:
    """Record that an entry was used."""
    with suppress(OSError):  # the cache may be read-only
        os.utime(entry / "index.json")


class Entry(NamedTuple):
    """An entry of the cache, for `gan data cache --list`."""

    path: Path
    about: dict[str, Any]
    items: int
    size: int  # bytes on disk
    used: float  # seconds since the epoch


def listing() -> list[Entry]:
    """Return the entries of the cache, the most recently used first."""
    entries = []
    for path in (folder() / IMAGES).glob("*"):
        index = read(path)
        size = sum(map(_size, path.iterdir())) if path.is_dir() else 0
        used = (path / "index.json").stat().st_mtime if index else path.stat().st_mtime
        entries.append(Entry(path, index.about if index else {}, len(index.items) if index else 0, size, used))
    return sorted(entries, key=lambda entry: -entry.used)


def part_size(part: str) -> int:
    """Return the size of one of PARTS in bytes."""
    return sum(_size(path) for path in (folder() / part).rglob("*") if path.is_file())


def total_size() -> int:
    """Return the size of the cache in bytes."""
    return sum(map(part_size, PARTS))


def _size(file: Path) -> int:
    """Return the bytes that a file takes on disk; its length on Windows, which does not tell them."""
    status = file.stat()
    return 512 * status.st_blocks if hasattr(status, "st_blocks") else status.st_size


def clear() -> None:
    """Remove the cache. Running programs keep the files that they have mapped."""
    for part in PARTS:
        shutil.rmtree(folder() / part, ignore_errors=True)
