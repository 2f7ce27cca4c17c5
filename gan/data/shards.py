"""Shards: files of decoded images, which `gan data pack` writes and `data=stream` reads.

A shard is an array in NumPy's format, whose rows have the pixels and the label of an image. Arrays of objects, which
NumPy would unpickle, are refused, and an index names only files of its own folder.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gan.data.decoding.decode import Decoder, decode_items
from gan.data.sources.files import ImageFiles
from gan.utils.errors import UserError, writing
from gan.utils.files import write_json
from gan.utils.output import counting
from gan.utils.untrusted import read_json

INDEX = "index.json"
SHARD_SIZE = 512  # images: 6 MB at 64 pixels with three channels
MAX_SHARD_BYTES = 1 << 30  # of large images
MIN_SHARDS = 64  # minimum number of shards of a small set, because a batch is taken from up to 32 shards
MAX_INDEX_BYTES = 16 << 20  # maximum size of an index; enough for half a million shards
MAX_HEADER = 4096  # bytes before the rows of a shard
MAX_IMAGES = 1 << 20  # maximum number of images in a shard
NAME = re.compile(r"shard-\d+\.npy", re.ASCII)


class ShardIndex(NamedTuple):
    """The content of INDEX."""

    shape: tuple[int, ...]  # (H, W, C) of an image
    classes: dict[str, int]  # number of images of each class, by its name in the order of labels
    shards: dict[str, int]  # number of images of each shard, by its file name


def pack(roots: list[str], out: Path, decoder: Decoder, labels: bool | str) -> int:
    """Decode all images of folders or archives into shards in `out`, in a fixed random order.

    Return the number of images written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not empty; use another folder")
    source = ImageFiles(roots)
    classes, labels_of = source.classes(labels)
    order = np.random.default_rng(0).permutation(len(source.keys)).tolist()
    shape = (*decoder.size, decoder.channels)
    size = max(1, min(SHARD_SIZE, len(order) // MIN_SHARDS, MAX_SHARD_BYTES // int(np.prod(shape))))
    shards: dict[str, int] = {}
    images: list[np.ndarray] = []  # of the next shard
    images_of: list[int] = []  # their labels
    counts = dict.fromkeys(classes, 0)

    def write(n: int) -> None:
        name = f"shard-{len(shards)}.npy"
        shards[name] = n
        write_shard(out / name, np.stack(images[:n]), np.array(images_of[:n]))
        del images[:n], images_of[:n]

    with counting(source.title, len(order)) as advance, writing(f"--out {out}", "; remove its contents"):
        out.mkdir(parents=True, exist_ok=True)
        for results in decode_items(source, decoder, order):
            for item, decoded in results:
                if decoded.error:
                    print(f"skipped: {source.names[item]!r}: {decoded.error}", file=sys.stderr)
                images += decoded.images
                images_of += [labels_of[item]] * len(decoded.images)
                if classes:
                    counts[classes[labels_of[item]]] += len(decoded.images)
            while len(images) >= size:
                write(size)
            advance(len(results))
        if images:
            write(len(images))
        if not shards:
            raise UserError(f"{source.where}: none of its {len(order)} images can be read")
        write_json(out / INDEX, ShardIndex(shape, counts, shards)._asdict())
    return sum(shards.values())


def row_type(shape: tuple[int, ...]) -> np.dtype:
    """Return the dtype of a row of a shard: an image (H, W, C) and its label."""
    return np.dtype([("image", "u1", shape), ("label", "<i8")])


def write_shard(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write a shard of images uint8 (n, H, W, C) with labels (n,)."""
    rows = np.empty(len(images), row_type(images.shape[1:]))
    rows["image"], rows["label"] = images, labels
    encoded = io.BytesIO()  # np.save into a file does not say why a write fails, such as a full disk
    np.save(encoded, rows)
    path.write_bytes(encoded.getvalue())


def read_shard(path: Path, images: int, shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (n, H, W, C) and labels int64 (n,) of a shard.

    The whole file is read into memory: truncating a memory-mapped file during training would kill the process.

    Raises:
        OSError, ValueError: the file cannot be read, or does not contain this number of images of this shape.
    """
    row = row_type(shape)
    head = os.stat(path).st_size - images * row.itemsize  # before opening: opening a pipe would block
    incomplete = f"it does not contain {images} images of {shape}; its copy may be incomplete"
    if not 0 < head <= MAX_HEADER:
        raise ValueError(incomplete)
    with open(path, "rb") as file:
        rows: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if rows.dtype != row or len(rows) != images:
        raise ValueError(incomplete)
    labels = rows["label"].astype(np.int64)
    if (labels < 0).any() or (classes and (labels >= classes).any()):
        raise ValueError("it contains labels out of range")
    return rows["image"], labels


def read_index(path: Path) -> ShardIndex:
    """Return the content of an index.json; raise ValueError or OSError."""
    try:
        table = read_json(path, MAX_INDEX_BYTES)
        shape, classes, shards = tuple(table["shape"]), dict(table["classes"]), dict(table["shards"])
        sizes = shards.values()
        numbers = [*sizes, *classes.values(), *shape]
        valid = all(map(NAME.fullmatch, shards)) and all(type(number) is int and number >= 0 for number in numbers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not an index of shards: {error}") from error
    if not valid or not shards or not 0 < min(sizes) <= max(sizes) <= MAX_IMAGES or len(shape) != 3:
        raise ValueError(f"{path.name} lists a shard with an invalid name, shape or number of images")
    return ShardIndex(shape, classes, shards)
