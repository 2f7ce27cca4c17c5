"""Decode images once into a memory-mapped file that workers, ranks and runs share.

A reader never sees a partially written image. Running programs keep the files that they have mapped. An interrupted
process loses only its last seconds of work.

A source of images has these attributes and methods:

    title: str           label of its progress bar
    identity             JSON that distinguishes it from other sources
    keys: list[str]      one unique key per item
    stamps: list         one JSON value per item, which changes when the item may have changed
    content(index) -> bytes                       the encoded item; may raise ImageError
    count(content, decoder) -> int                number of images, before patches are cut
    decode(content, decoder) -> iterator of DecodedImage
    trusted: bool        optional; True if this process may decode the contents itself, because they are trusted

A source can be pickled; each process opens the files itself. The DataModule also needs

    where: str           name of the source in messages
    names: list[str]     names of the items in labels, splits and messages
    classes(option) -> (names of the classes, label of each item)
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
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
from gan.common.output import counting
from gan.data.builtin import retro, shapes
from gan.data.decoding import cache_index, color, decode, reader
from gan.data.decoding.cache_index import IMAGES, Index, Item, folder, image_shape
from gan.data.decoding.decode import Decoder
from gan.data.decoding.errors import ImageError
from gan.data.decoding.pool import CRASHED, check_main_guard, parallel_map

SAVE_SECONDS = 10.0  # seconds of decoding between two writes of the index; an interrupted process loses at most these


class CachedImages(NamedTuple):
    """The decoded images of a source."""

    pixels: Any  # read-only; indexing with an array of rows returns uint8 (n, H, W, C)
    first: np.ndarray  # (items,): the first row of each item
    counts: np.ndarray  # (items,): the number of rows of each item, 0 if it could not be decoded
    errors: dict[int, str]  # by item, why it could not be decoded
    pixel_art: int  # number of images that resample=auto resized with nearest
    digests: np.ndarray  # (items,): hash of each item's content, empty if it could not be read

    def rows(self) -> np.ndarray:
        """Return the rows of all items, in order."""
        before = self.counts.cumsum() - self.counts  # number of images of the preceding items
        return np.arange(self.counts.sum()) + np.repeat(self.first - before, self.counts)


def load_images(source: Any, decoder: Decoder) -> CachedImages:
    """Return all images of a source from the cache. New images are decoded on all cores.

    An item is looked up by its key and stamp, then by its content, so that a touched, renamed or copied file is not
    decoded again. If the cache cannot be written, print a message and decode images each time they are used.
    """
    key = [source.identity, asdict(decoder), source_hash(color, reader, decode, retro, shapes)]
    entry = folder() / IMAGES / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    try:
        if entry.is_symlink():  # old pixels would be removed in its target, which could be any folder
            raise OSError(f"{entry} is a link")
        index = cache_index.read(entry, decoder)
        if index is None or _stale_items(index, source):
            check_main_guard()
            entry.mkdir(parents=True, exist_ok=True)
            with FileLock(entry / "lock"):
                index = _update(entry, source, decoder)
        else:
            cache_index.touch(entry)
        shape = (index.rows, *image_shape(decoder))
        mapped = np.memmap(entry / index.file, np.uint8, "r", shape=shape) if index.rows else np.empty(shape, np.uint8)
        pixels: Any = np.asarray(mapped)  # indexing np.memmap itself is slow
    except OSError as error:
        print(
            f"cache: {folder()} cannot be used ({reason(error)}): every image is decoded each time it is used, "
            "which is slow; free disk space, set RETRO_GAN_CACHE to another folder, or use data.storage=memory",
            file=sys.stderr,
        )
        index = Index("", 0, _decode_items(None, source, decoder, range(len(source.keys)), {}, lambda *_: None), {})
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
    """A substitute for an array of pixels: decodes rows when they are indexed."""

    def __init__(self, source: Any, decoder: Decoder, index: Index) -> None:
        self.source = source
        self.decoder = decoder
        items = [index.items[key] for key in source.keys]
        self.readable = np.array([number for number, item in enumerate(items) if item.rows], np.int64)
        self.first = np.array([item.first for item in items if item.rows], np.int64)  # ascending

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        empty = np.empty((0, *image_shape(self.decoder)), np.uint8)
        return np.stack([self._row(int(row)) for row in rows]) if len(rows) else empty

    def _row(self, row: int) -> np.ndarray:
        place = int(np.searchsorted(self.first, row, side="right")) - 1
        item, number = int(self.readable[place]), row - int(self.first[place])
        try:
            images = self.source.decode(self.source.content(item), self.decoder)
            return next(itertools.islice(images, number, None)).pixels.transpose(1, 2, 0)
        except (ImageError, StopIteration) as error:
            raise UserError(
                f"{self.source.keys[item]!r} can no longer be read ({error}); restore it and continue with resume="
            ) from error


def _stale_items(index: Index, source: Any) -> list[int]:
    """Return the items to decode: missing in the index, changed, or unreadable before.

    Unreadable items are tried again, because a stamp does not contain permissions.
    """
    items = index.items
    return [
        number
        for number, (name, stamp) in enumerate(zip(source.keys, source.stamps, strict=True))
        if name not in items or items[name].stamp != stamp or _is_unread(items[name])
    ]


def _is_unread(item: Item) -> bool:
    """Return whether the item's content could not be read. Errors of decoding are excluded, since they would repeat."""
    return bool(item.error) and not item.digest and item.error != CRASHED


def _update(entry: Path, source: Any, decoder: Decoder) -> Index:
    """Decode new items into an entry and return its index. The caller holds the entry's lock."""
    about = {"source": source.identity, "options": asdict(decoder), "shape": image_shape(decoder)}
    index = cache_index.read(entry, decoder)
    if index is None or _mostly_unused(index, source):  # a new file: other programs may have mapped the old one
        index = Index(f"pixels-{time.time_ns()}", 0, {}, about)
        print(f"cache: {folder()}", flush=True)
    path = entry / index.file
    path.touch()
    kept = {key: index.items[key] for key in source.keys if key in index.items}
    rows = index.rows
    updated = index

    def save(new: dict[str, Item], new_rows: int) -> None:
        nonlocal updated
        updated = Index(path.name, rows + new_rows, kept | new, about)
        cache_index.write(entry, updated)

    _decode_items(PixelFile(path, rows, decoder), source, decoder, _stale_items(index, source), index.items, save)
    for old in (*entry.glob("pixels-*"), *entry.glob("index-*.json")):  # replaced files and interrupted writes
        if old != path:
            with suppress(PermissionError):  # Windows does not remove a file that another program has mapped
                old.unlink()
    return updated


def _mostly_unused(index: Index, source: Any) -> bool:
    """Return whether most rows of the file belong to items that no longer exist: then a new file saves disk space."""
    return index.rows > 1024 + 2 * sum(index.items[key].rows for key in source.keys if key in index.items)


class PixelFile:
    """The rows of a file from `base` on, which worker processes write."""

    def __init__(self, path: Path, base: int, decoder: Decoder) -> None:
        self.path = path
        self.base = base
        self.shape = image_shape(decoder)
        self.file: BinaryIO | None = None

    def reserve(self, rows: int) -> None:
        """Allocate disk space in advance, because writing to a memory map kills the process if the disk is full."""
        size = int(np.prod(self.shape))
        with open(self.path, "r+b") as file:
            if rows and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), self.base * size, rows * size)
            elif rows:
                file.truncate((self.base + rows) * size)

    def write(self, row: int, image: np.ndarray) -> None:
        if self.file is None:
            self.file = open(self.path, "r+b", buffering=0)  # noqa: SIM115 (close)
        self.file.seek(row * image.size)
        self.file.write(image.transpose(1, 2, 0).data)  # channels last in memory already

    def flush(self) -> None:
        with open(self.path, "r+b") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"file": None}  # each process opens its own


def _decode_items(
    pixels: PixelFile | None,
    source: Any,
    decoder: Decoder,
    numbers: Any,
    items: dict[str, Item],
    save: Callable[[dict[str, Item], int], None],
) -> dict[str, Item]:
    """Decode items into new rows of the file, and return them by key.

    Without a file, only determine which items can be decoded.
    """
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
    new: dict[str, Item] = {}
    saved = time.monotonic()
    decode_item = DecodeItem(source, decoder, pixels, known)
    with counting(source.title, len(tasks)) as advance:
        for results in parallel_map(decode_item, tasks, decode_item.crashed, trusted):
            new.update((source.keys[n], item._replace(stamp=source.stamps[n])) for n, item in results)
            advance(len(results))
            if pixels and time.monotonic() > saved + SAVE_SECONDS:
                pixels.flush()  # before the index, which must not contain rows that a power failure can lose
                save(new, rows)
                saved = time.monotonic()
    if pixels:
        pixels.close()
        pixels.flush()
    save(new, rows)
    return new


class DecodeItem:
    """Decodes one item into its rows, in a worker process. The caller sets the item's stamp."""

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
            for found, image in enumerate(self.source.decode(content, self.decoder), 1):
                pixel_art += image.pixel_art
                if self.pixels and found <= count:
                    self.pixels.write(first + found - 1, image.pixels)
            if found != count:
                raise ImageError(f"changed while it was read: {found} images instead of {count}")
        except ImageError as error:
            return number, Item(None, digest, 0, 0, str(error))
        return number, Item(None, digest, first, count, "", pixel_art)

    def crashed(self, task: tuple[int, int, int]) -> tuple[int, Item]:
        return task[0], Item(None, "", 0, 0, CRASHED)


def _count(source: Any, decoder: Decoder, number: int) -> int:
    try:
        return source.count(source.content(number), decoder)
    except ImageError:  # decoding reports the reason
        return 1


@functools.cache
def source_hash(*modules: ModuleType) -> str:
    """Return a hash of the source code that computes pixels, so that pixels of other versions are not reused."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()
