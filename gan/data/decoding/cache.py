"""Decode images once into a memory-mapped file that workers, ranks and runs share.

The cache is one folder, which can be removed at any time: $RETRO_GAN_CACHE, or by default ~/.cache/retro-gan. Each
combination of source and options has an entry: a folder with a file of pixels, which only grows, and an index by path,
size and time of the files, which is replaced atomically. A reader never sees a partially written image. Running
programs keep the files that they have mapped. An interrupted process loses only its last seconds of work.

A source of images has these attributes and methods:

    title: str           label of its progress bar
    identity             JSON that distinguishes it from other sources
    keys: list[str]      one unique key per item, such as the path of a file
    stamps: list         one JSON value per item, which changes when the item may have changed
    content(index) -> bytes                       the encoded item; may raise ImageError
    decode(content, decoder) -> iterator of images uint8 (C, H, W)
    trusted: bool        optional; True if this process may decode the contents itself, because they are trusted
    stacked: int         optional; number of images that are stacked along the channels of each decoded image

A source can be pickled; each process opens the files itself. The DataModule also needs

    where: str           name of the source in messages
    names: list[str]     names of the items in labels, splits and messages
    classes(option) -> (names of the classes, label of each item)
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock

from gan.data.builtin import retro, shapes
from gan.data.decoding import decode, reader
from gan.data.decoding.decode import Decoder, decode_items
from gan.data.decoding.pool import CRASHED, check_main_guard
from gan.looks import fields
from gan.utils import colors
from gan.utils.errors import UserError, reason
from gan.utils.files import write_bytes
from gan.utils.output import counting
from gan.utils.untrusted import read_json

RUNS = "runs"  # folder with copies of runs in object storage, see gan/runs/remote.py
SHARDS = "shards"  # folder with shards that were downloaded, see gan/data/stream.py
IMAGES, FEATURES = "images", "features"  # folders with pixels, and with features of real images
PARTS = (IMAGES, FEATURES, RUNS, SHARDS)
MAX_INDEX_BYTES = 1 << 30  # enough for some millions of files
SAVE_SECONDS = 10.0  # seconds of decoding between two writes of the index; an interrupted process loses at most these


def folder() -> Path:
    """Return the folder of the cache, which may not exist yet."""
    base = os.environ.get("RETRO_GAN_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "retro-gan"


class Item(NamedTuple):
    """One item of a source: its images are the rows first .. first + rows - 1."""

    stamp: Any
    digest: str  # hash of its content; empty if it could not be read
    first: int
    rows: int  # 0 if it could not be decoded
    error: str  # why it could not be decoded


class Index(NamedTuple):
    file: str  # name of the file of pixels
    rows: int  # number of images in that file, including images that no item uses any more
    items: dict[str, Item]  # by key


class CachedImages(NamedTuple):
    """The decoded images of some items of a source."""

    pixels: np.ndarray  # (rows, H, W, C), read-only
    rows: np.ndarray  # (images,): the rows of all items, in order
    counts: np.ndarray  # (items,): the number of rows of each item, 0 if it could not be decoded
    errors: dict[int, str]  # by position in `items`, why it could not be decoded
    digests: np.ndarray  # (items,): hash of each item's content, empty if it could not be read


def load_images(source: Any, decoder: Decoder, items: Sequence[int] | None = None) -> CachedImages:
    """Return the images of items of a source (all by default) from the cache. New images are decoded on all cores."""
    numbers = range(len(source.keys)) if items is None else items
    key = [source.identity, asdict(decoder), source_hash(reader, decode, retro, shapes, fields, colors)]
    shape = (*decoder.size, decoder.channels * getattr(source, "stacked", 1))  # (H, W, C) of an image
    entry = folder() / IMAGES / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    try:
        index = read_index(entry, shape)
        if index is None or _stale_items(index, source, numbers):
            check_main_guard()
            entry.mkdir(parents=True, exist_ok=True)
            with FileLock(entry / "lock"):
                index = _update(entry, source, decoder, numbers, shape)
        pixels = _mapped(entry, index, shape)
    except OSError as error:
        why = f"cannot be used ({reason(error)}); free disk space, or set RETRO_GAN_CACHE to another folder"
        raise UserError(f"cache: {folder()} {why}") from error
    cached = [index.items[source.keys[number]] for number in numbers]
    return CachedImages(
        pixels,
        np.array([row for item in cached for row in range(item.first, item.first + item.rows)], np.int64),
        np.array([item.rows for item in cached], np.int64),
        {place: item.error for place, item in enumerate(cached) if not item.rows},
        np.array([item.digest for item in cached], "S32"),
    )


def _mapped(entry: Path, index: Index, shape: Sequence[int]) -> np.ndarray:
    """Map the pixels of an entry; raise ValueError if the file is too short."""
    if not index.rows:
        return np.empty((0, *shape), np.uint8)
    mapped = np.memmap(entry / index.file, np.uint8, "r", shape=(index.rows, *shape))
    return np.asarray(mapped)  # indexing np.memmap itself is slow


def read_index(entry: Path, shape: Sequence[int]) -> Index | None:
    """Return the index of an entry; None if it is missing or damaged, or lists more images than the file has."""
    try:
        table = read_json(entry / "index.json", MAX_INDEX_BYTES)
        items = {name: Item(*values) for name, values in table["items"].items()}
        index = Index(Path(table["file"]).name, table["rows"], items)
        _mapped(entry, index, shape)
        return index
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _stale_items(index: Index, source: Any, numbers: Sequence[int]) -> list[int]:
    """Return the items to decode: missing in the index, changed, or unreadable before.

    Items whose content could not be read are tried again, because a stamp does not contain permissions. Errors of
    decoding would repeat.
    """
    stale = []
    for number in numbers:
        item = index.items.get(source.keys[number])
        unread = item is not None and item.error and not item.digest and item.error != CRASHED
        if item is None or unread or item.stamp != source.stamps[number]:
            stale.append(number)
    return stale


def _update(entry: Path, source: Any, decoder: Decoder, numbers: Sequence[int], shape: Sequence[int]) -> Index:
    """Decode new items into an entry and return its index. The caller holds the entry's lock."""
    index = read_index(entry, shape)
    items = {} if index is None else {key: index.items[key] for key in source.keys if key in index.items}
    if index is None or index.rows > 1024 + 2 * sum(item.rows for item in items.values()):
        # A new file saves disk space if most rows are unused. Other programs may have mapped the old one.
        index, items = Index(f"pixels-{time.time_ns()}", 0, {}), {}
        print(f"cache: {folder()}", flush=True)
    index = index._replace(items=items)
    path = entry / index.file
    path.touch()
    stale = _stale_items(index, source, numbers)
    trusted = getattr(source, "trusted", False)
    saved = time.monotonic()
    with open(path, "r+b") as pixels, counting(source.title, len(stale)) as advance:
        pixels.truncate(index.rows * math.prod(shape))  # what an interrupted process wrote after its last index
        pixels.seek(0, os.SEEK_END)
        for results in decode_items(source, decoder, stale, trusted):
            for number, decoded in results:
                stamp, count = source.stamps[number], len(decoded.images)
                pixels.writelines(image.data for image in decoded.images)
                items[source.keys[number]] = Item(stamp, decoded.digest, index.rows, count, decoded.error)
                index = index._replace(rows=index.rows + count)
            advance(len(results))
            if time.monotonic() > saved + SAVE_SECONDS:
                _save(entry, index, pixels)
                saved = time.monotonic()
        _save(entry, index, pixels)
    for old in entry.glob("pixels-*"):
        if old != path:
            with suppress(PermissionError):  # Windows does not remove a file that another program has mapped
                old.unlink()
    return index


def _save(entry: Path, index: Index, pixels: BinaryIO) -> None:
    """Write pixels to disk, then the index, which must not contain rows that a power failure can lose."""
    pixels.flush()
    os.fsync(pixels.fileno())
    text = json.dumps(index._asdict())  # json.dump is slower, because it encodes in Python
    write_bytes(entry / "index.json", text.encode())


@functools.cache
def source_hash(*modules: ModuleType) -> str:
    """Return a hash of the source code that computes pixels, so that pixels of other versions are not reused."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()


def total_size() -> int:
    statuses = [file.stat() for part in PARTS for file in (folder() / part).rglob("*") if file.is_file()]
    return sum(512 * getattr(status, "st_blocks", -(-status.st_size // 512)) for status in statuses)
