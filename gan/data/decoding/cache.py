"""Pictures decoded once into one memory-mapped file, shared by workers, ranks and runs.

Everything lies in one folder that can be removed at any time: $RETRO_GAN_CACHE, else ~/.cache/retro-gan. An entry, a
folder for each set of images and options, has a file of pixels that only grows and an index that is replaced whole: so
a reader never sees half a picture, a run that is going on keeps what it has mapped, and an interrupted maker has lost
nothing but its last seconds.

A source of pictures has

    title: str           what its progress bar says
    identity             JSON that tells it from other sources
    keys: list[str]      one for each item, all different
    stamps: list         JSON for each item that changes when the item may have changed
    content(index) -> bytes                       what the item's pictures are made of; may raise ImageError
    count(content, decoder) -> int                how many pictures that is, before windows are cut out of them
    pictures(content, decoder) -> iterator of Fitted
    trusted: bool         where it is true, no stranger made the contents, and this process may decode them itself

and pickles, with what it reads opened in each process anew. For the DataModule it also has

    where: str           what messages call it
    names: list[str]     what labels, splits and messages call the items
    classes(option) -> (names of the classes, label of each item)
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock

from gan.common.errors import UserError, reason
from gan.common.progress import counting
from gan.common.untrusted import read_json
from gan.data.builtin import retro, shapes
from gan.data.decoding import color, decode, reader
from gan.data.decoding.decode import Decoder
from gan.data.decoding.errors import ImageError
from gan.data.decoding.pool import CRASHED, check_main_guard, parallel_map

FLUSH_EVERY = 2.0  # seconds between two times that pixels are sent to the disk, while others decode
LARGEST_INDEX = 1 << 30  # bytes, of some millions of files
SAVE_EVERY = 20.0  # seconds of decoding between two writings of the index


def folder() -> Path:
    """Where the cache is; nothing is made here."""
    base = os.environ.get("RETRO_GAN_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "retro-gan"


class Item(NamedTuple):
    """What the index holds of one item: its pictures are the rows first .. first + rows - 1."""

    stamp: Any
    digest: str  # of its content; empty where that could not be read
    first: int
    rows: int  # 0: it could not be read, for this reason
    error: str
    pixel_art: int = 0  # rows that resample=auto took for pixel art


class Index(NamedTuple):
    file: str  # name of the file of pixels
    rows: int  # pictures in that file, some of which no item may own any more
    items: dict[str, Item]
    about: dict[str, Any]  # what `listing` shows


class CachedImages(NamedTuple):
    """The pictures of a source."""

    pixels: Any  # indexed by an array of rows, gives uint8 (n, H, W, C); read-only
    first: np.ndarray  # (items,): the first row of each item
    counts: np.ndarray  # (items,): its number of rows, 0 where it could not be read
    errors: dict[int, str]  # the reason, by item
    pixel_art: int  # pictures that resample=auto took for pixel art
    digests: np.ndarray  # (items,): of each item's content, empty where that could not be read

    def rows(self) -> np.ndarray:
        """The rows of all items, in their order."""
        before = self.counts.cumsum() - self.counts  # of each item's pictures in that order
        return np.arange(self.counts.sum()) + np.repeat(self.first - before, self.counts)


def decoded(source: Any, decoder: Decoder) -> CachedImages:
    """All pictures of a source, from the cache where they are in it; what is new is made on all cores.

    An item is known by its key and stamp, then by its content: one that was touched, renamed or copied is not decoded
    again. Where the cache can't be written, pictures are decoded each time they are asked for, which is said.
    """
    key = [source.identity, asdict(decoder), version(color, reader, decode, retro, shapes)]
    entry = folder() / "images" / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    try:
        if entry.is_symlink():  # old pixels would be removed where it leads to
            raise OSError(f"{entry} is a link")
        index = _read(entry, decoder)
        if index is None or _missing(index, source):
            check_main_guard()
            entry.mkdir(parents=True, exist_ok=True)
            with FileLock(entry / "lock"):
                index = _fill(entry, source, decoder)
        else:
            _touch(entry)
        shape = _shape(index.rows, decoder)
        mapped = np.memmap(entry / index.file, np.uint8, "r", shape=shape) if index.rows else np.empty(shape, np.uint8)
        pixels: Any = np.asarray(mapped)  # np.memmap's own indexing is slow
    except OSError as error:
        print(
            f"cache: {folder()} cannot be used ({reason(error)}): every image is decoded anew each time, "
            "which is slow; free some room, set RETRO_GAN_CACHE to a folder that has it, or take data.storage=memory",
            file=sys.stderr,
        )
        index = Index("", 0, _make(None, source, decoder, range(len(source.keys)), {}, lambda items, rows: None), {})
        pixels = OnTheFlyPixels(source, decoder, index)
    items = [index.items[name] for name in source.keys]
    return CachedImages(
        pixels,
        np.array([item.first for item in items], np.int64),
        np.array([item.rows for item in items], np.int64),
        {number: item.error for number, item in enumerate(items) if not item.rows},
        sum(item.pixel_art for item in items),
        np.array([item.digest for item in items], "S32"),
    )


class OnTheFlyPixels:
    """In place of an array of pixels: decodes the rows that are asked for."""

    def __init__(self, source: Any, decoder: Decoder, index: Index) -> None:
        self.source = source
        self.decoder = decoder
        items = [index.items[key] for key in source.keys]
        self.readable = np.array([number for number, item in enumerate(items) if item.rows], np.int64)
        self.first = np.array([item.first for item in items if item.rows], np.int64)  # rising

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        empty = np.empty((0, *self.decoder.size, self.decoder.channels), np.uint8)
        return np.stack([self._row(int(row)) for row in rows]) if len(rows) else empty

    def _row(self, row: int) -> np.ndarray:
        place = int(np.searchsorted(self.first, row, side="right")) - 1
        item, frame = int(self.readable[place]), row - int(self.first[place])
        try:
            pictures = self.source.decode(self.source.content(item), self.decoder)
            return next(itertools.islice(pictures, frame, None)).pixels.transpose(1, 2, 0)
        except (ImageError, StopIteration) as error:
            raise UserError(
                f"{self.source.keys[item]!r}: could be read when the run began, but no more ({error}); "
                "put it back and go on with resume="
            ) from error


def _missing(index: Index, source: Any) -> list[int]:
    """The items that are not in the index as they are now."""
    items = index.items
    return [
        number
        for number, (name, stamp) in enumerate(zip(source.keys, source.stamps, strict=True))
        if name not in items or items[name].stamp != stamp
    ]


def _fill(entry: Path, source: Any, decoder: Decoder) -> Index:
    """Bring an entry up to date; under its lock."""
    about = {"source": source.identity, "options": asdict(decoder), "shape": _shape(0, decoder)[1:]}
    index = _read(entry, decoder)
    if index is None or _mostly_gone(index, source):  # a file of another name: the old one may be mapped by a run
        index = Index(f"pixels-{time.time_ns()}", 0, {}, about)
        print(f"cache: {folder()}", flush=True)
    path = entry / index.file
    path.touch()
    kept = {key: index.items[key] for key in source.keys if key in index.items}
    rows = index.rows
    filled = index

    def save(made: dict[str, Item], new_rows: int) -> None:
        nonlocal filled
        filled = Index(path.name, rows + new_rows, kept | made, about)
        _write(entry, filled)

    _make(PixelFile(path, rows, decoder), source, decoder, _missing(index, source), index.items, save)
    for old in (*entry.glob("pixels-*"), *entry.glob("index-*.json")):  # of former generations and torn writings
        if old != path:
            old.unlink()
    return filled


def _mostly_gone(index: Index, source: Any) -> bool:
    """Whether most rows belong to items that are no more, so that it is time to begin anew."""
    return index.rows > 1024 + 2 * sum(index.items[key].rows for key in source.keys if key in index.items)


class PixelFile:
    """The rows of a file from `base` on, for processes that fill them."""

    def __init__(self, path: Path, base: int, decoder: Decoder) -> None:
        self.path = path
        self.base = base
        self.shape = _shape(0, decoder)[1:]
        self.file: BinaryIO | None = None

    def reserve(self, rows: int) -> None:
        """Take the blocks of the disk now: one that fills up under a memory map ends the process without a word."""
        size = int(np.prod(self.shape))
        with open(self.path, "r+b") as file:
            if rows and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), self.base * size, rows * size)
            elif rows:
                file.truncate((self.base + rows) * size)

    def write(self, row: int, picture: np.ndarray) -> None:
        if self.file is None:
            self.file = open(self.path, "r+b", buffering=0)  # noqa: SIM115 (close)
        self.file.seek(row * picture.size)
        self.file.write(picture.transpose(1, 2, 0).data)  # channels last in memory already

    def flush(self) -> None:
        with open(self.path, "r+b") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"file": None}  # each process opens its own


def _make(
    pixels: PixelFile | None,
    source: Any,
    decoder: Decoder,
    numbers: Any,
    items: dict[str, Item],
    save: Callable[[dict[str, Item], int], None],
) -> dict[str, Item]:
    """Decode items into rows that are theirs alone, or only try to where there is no room for pixels."""
    known = {item.digest: item for item in items.values() if item.digest}
    counts = [decoder.patches_per_image] * len(numbers)
    trusted = getattr(source, "trusted", False)
    if decoder.frames == "all":
        found = parallel_map(functools.partial(_count, source, decoder), numbers, lambda n: 1, trusted)
        counts = [n * decoder.patches_per_image for part in found for n in part]
    base = pixels.base if pixels else 0
    firsts = base + np.cumsum([0, *counts])
    rows = int(firsts[-1]) - base
    tasks = list(zip(numbers, firsts.tolist(), counts, strict=False))
    if pixels:
        pixels.reserve(rows)
    made: dict[str, Item] = {}
    flushed = saved = time.monotonic()
    work = DecodeItem(source, decoder, pixels, known)
    with counting(source.title, len(tasks)) as advance:
        for results in parallel_map(work, tasks, work.crashed, trusted):
            made.update((source.keys[n], item._replace(stamp=source.stamps[n])) for n, item in results)
            advance(len(results))
            if pixels and time.monotonic() > flushed + FLUSH_EVERY:
                pixels.flush()
                flushed = time.monotonic()
                if flushed > saved + SAVE_EVERY:
                    save(made, rows)
                    saved = flushed
    if pixels:
        pixels.close()
        pixels.flush()
    save(made, rows)
    return made


class DecodeItem:
    """Decode one item into its rows; what a process of the pool does. The item's stamp is left to others."""

    def __init__(self, source: Any, decoder: Decoder, pixels: PixelFile | None, known: dict[str, Item]) -> None:
        self.source = source
        self.decoder = decoder
        self.pixels = pixels
        self.known = known

    def __call__(self, task: tuple[int, int, int]) -> tuple[int, Item]:
        number, first, count = task
        digest = ""
        try:
            content = self.source.content(number)
            digest = hashlib.sha256(content).hexdigest()[:32]
            if digest in self.known:
                return number, self.known[digest]
            found = pixel_art = 0
            for found, picture in enumerate(self.source.decode(content, self.decoder), 1):
                pixel_art += picture.pixel_art
                if self.pixels and found <= count:
                    self.pixels.write(first + found - 1, picture.pixels)
            if found != count:
                raise ImageError(f"changed while it was read: {found} pictures where there were {count}")
        except ImageError as error:
            return number, Item(None, digest, 0, 0, str(error))
        return number, Item(None, digest, first, count, "", pixel_art)

    def crashed(self, task: tuple[int, int, int]) -> tuple[int, Item]:
        return task[0], Item(None, "", 0, 0, CRASHED)


def _count(source: Any, decoder: Decoder, number: int) -> int:
    try:
        return source.count(source.content(number), decoder)
    except ImageError:  # decoding gives the reason
        return 1


def _shape(rows: int, decoder: Decoder) -> tuple[int, ...]:
    return (rows, *decoder.size, decoder.channels)


def _read(entry: Path, decoder: Decoder | None = None) -> Index | None:
    """The index of an entry; None where there is none that can be used."""
    try:
        table = read_json(entry / "index.json", LARGEST_INDEX)
        items = {name: Item(*values) for name, values in table["items"].items()}
        index = Index(table["file"], table["rows"], items, table["about"])
        fits = decoder is None or tuple(index.about["shape"]) == _shape(0, decoder)[1:]
        return index if _is_sound(entry, index) and fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_sound(entry: Path, index: Index) -> bool:
    """Whether an index is such as `_write` leaves it: a cache may be shared, and others may have written there.

    The file is one of the entry's own, and no row lies outside of it.
    """
    shape, about = index.about["shape"], (index.about["source"], index.about["options"])
    if not re.fullmatch(r"pixels-\d+", index.file, re.ASCII) or not _counts(index.rows, *shape) or len(shape) != 3:
        return False
    if not isinstance(about[0], list) or not isinstance(about[1], dict):
        return False
    status = os.lstat(entry / index.file)
    if not stat.S_ISREG(status.st_mode) or status.st_size < index.rows * math.prod(shape):
        return False
    return all(
        _counts(item.first, item.rows, item.pixel_art)
        and item.first + item.rows <= index.rows
        and isinstance(item.digest, str)
        and isinstance(item.error, str)
        for item in index.items.values()
    )


def _counts(*values: Any) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _write(entry: Path, index: Index) -> None:
    temporary = entry / f"index-{os.getpid()}.json"
    temporary.unlink(missing_ok=True)  # it may be a link
    with open(temporary, "w") as file:
        file.write(json.dumps(index._asdict()))  # json.dump to a file is written in Python and slow
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, entry / "index.json")


def _touch(entry: Path) -> None:
    """Note that an entry was used."""
    with suppress(OSError):  # a cache that may only be read
        os.utime(entry / "index.json")


@functools.cache
def version(*modules: ModuleType) -> str:
    """Hash of the code that makes pixels: what older code has made is not reused."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()


class Entry(NamedTuple):
    """One set of pictures in the cache, for people."""

    path: Path
    about: dict[str, Any]
    items: int
    size: int  # bytes on disk
    used: float  # seconds since the epoch


def listing() -> list[Entry]:
    """What is in the cache, the last used first."""
    entries = []
    for path in (folder() / "images").glob("*"):
        index = _read(path)
        size = sum(file.stat().st_blocks * 512 for file in path.iterdir()) if path.is_dir() else 0
        used = (path / "index.json").stat().st_mtime if index else path.stat().st_mtime
        entries.append(Entry(path, index.about if index else {}, len(index.items) if index else 0, size, used))
    return sorted(entries, key=lambda entry: -entry.used)


def features_size() -> int:
    """Bytes of the features of real images."""
    return sum(file.stat().st_blocks * 512 for file in (folder() / "features").glob("*"))


def clear() -> None:
    """Remove all of it; runs that are going on keep what they have mapped."""
    for part in ("images", "features"):
        shutil.rmtree(folder() / part, ignore_errors=True)
