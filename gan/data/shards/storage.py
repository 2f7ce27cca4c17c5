"""Where shards are stored: in a folder, or at a URL, from which they are downloaded when they are read."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gan.common.errors import UserError, to_line
from gan.common.files import replace
from gan.common.object_store import Store, check_address
from gan.data.decoding.cache_index import SHARDS, folder
from gan.data.shards.shard_index import MAX_INDEX_BYTES, InvalidShards, check_file

INDEX = "index.json"
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class Folder:
    """Shards in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def index(self) -> Iterator[Path]:
        """A context with the path of the index."""
        yield self.path / INDEX

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A context with the path of a shard, which exists for as long as the context is open."""
        yield self.path / name


class Bucket:
    """Shards at a URL. Shards that fit into the cache are downloaded once, others each time they are read.

    An epoch reads each shard once, in random order. Therefore it does not matter which shards the cache keeps.

    Args:
        limit: maximum number of bytes in the cache.
    """

    def __init__(self, url: str, limit: int) -> None:
        self.url = url.rstrip("/")
        self.limit = limit
        self.cache = Path()  # set by `index`

    @contextmanager
    def index(self) -> Iterator[Path]:
        """As `Folder.index`. It is downloaded again each time; shards of another index are not used."""
        base = folder() / SHARDS
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as temporary:
            path = Path(temporary) / INDEX
            self.download(path)
            check_file(path, MAX_INDEX_BYTES)  # before it is read into memory
            self.cache = base / hashlib.blake2b(self.url.encode() + path.read_bytes(), digest_size=12).hexdigest()
            self.cache.mkdir(exist_ok=True)
            yield path

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """As `Folder.file`. Other processes may use the same cache, so a shard enters it only if it can stay there."""
        path = self.cache / name
        if path.exists():
            try:
                yield path
            except InvalidShards:
                path.unlink(missing_ok=True)  # so that it is downloaded again, once it was repaired at the URL
                raise
            return
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as temporary:
            own = Path(temporary) / name
            self.download(own)
            yield own
            if size_of(self.cache) + own.stat().st_size <= self.limit:
                replace(own, path)

    def download(self, path: Path) -> None:
        """Download the object with the name of a file."""
        store_of(self.url, os.getpid()).download(path.name, path)


@functools.lru_cache(maxsize=4)
def store_of(url: str, process: int) -> Store:
    """Return the store of a URL, made by this process, because connections cannot be forked."""
    return Store(check_address(f"data.root={url}", url))


def size_of(path: Path) -> int:
    """Return the size of the files in a folder in bytes. Other processes may remove some meanwhile."""
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size if entry.is_file() else 0
    return total


def parse_bytes(name: str, text: object) -> int:
    """Return a size such as 100GB in bytes; raise UserError with the option's name."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d+)?) ?([KMGT]B)?", str(text).strip().upper(), re.ASCII)
    if found is None:
        raise UserError(f"{name}={to_line(text)}: must be a size such as 100GB")
    return int(float(found[1]) * UNITS[found[2] or ""])
