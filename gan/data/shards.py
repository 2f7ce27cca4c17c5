"""Shards: files of decoded images in litdata's format, which `gan data pack` writes and `data=stream` reads.

All rows of a shard have equal lengths, because all images have the same shape. So a shard is read as one array, without
litdata, which creates Python objects for each row. An index in litdata's format may also name pickles as the format of
items. Here nothing in a shard is unpickled, whatever its index says, and an index names only files of its own folder.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan.data.decoding.decode import Decoder
from gan.data.decoding.pool import CRASHED, parallel_map
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import ImageFiles
from gan.utils.errors import UserError, writing
from gan.utils.files import write_json
from gan.utils.output import counting
from gan.utils.untrusted import read_json

INDEX = "index.json"
SHARD_SIZE = 512  # images: 6 MB at 64 pixels with three channels
MAX_SHARD_BYTES = 1 << 30  # of large images; positions in a shard have 32 bits
MIN_SHARDS = 64  # minimum number of shards of a small set, because a batch is taken from up to 32 shards
MAX_INDEX_BYTES = 64 << 20  # maximum size of an index; enough for about 500,000 shards
MAX_IMAGES = 1 << 20  # maximum number of images in a shard
NAME = re.compile(r"chunk-\d+-\d+\.bin", re.ASCII)
UINT8 = 4  # number of this dtype in litdata's list
OTHERS = 12 + 20 + 8 + 8  # bytes of a row without pixels: lengths of its parts; dtype and shape; label; classes
LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
SPEC = [1, {"type": "builtins.dict", "context": '["image", "label", "classes"]', "children_spec": [LEAF] * 3}]
CONFIG = {  # of the index, so that litdata reads the shards, too
    "data_format": ["numpy", "int", "int"],
    "item_loader": "PyTreeLoader",
    "data_spec": json.dumps(SPEC),
    "compression": None,
}


class InvalidShards(ValueError):
    """The shards were not written by `gan data pack`, or changed since."""


class ShardIndex(NamedTuple):
    names: list[str]  # file name of each shard
    sizes: list[int]  # number of images of each shard
    classes: dict[str, int]  # number of images of each class, by its name in the order of labels


def pack(roots: list[str], out: Path, decoder: Decoder, labels: bool | str) -> int:
    """Decode all images of folders or archives into shards in `out`, in a fixed random order.

    Return the number of images written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not empty; use another folder")
    source = ImageFiles(roots)
    classes, labels_of = source.classes(labels)
    order = np.random.default_rng(0).permutation(len(source.keys)).tolist()
    most = MAX_SHARD_BYTES // (decoder.size[0] * decoder.size[1] * decoder.channels)
    size = max(1, min(SHARD_SIZE, len(order) // MIN_SHARDS, most))
    chunks: list[dict[str, Any]] = []
    images: list[np.ndarray] = []  # of the next shard
    images_of: list[int] = []  # their labels
    counts = dict.fromkeys(classes, 0)

    def write(n: int) -> None:
        name = f"chunk-0-{len(chunks)}.bin"
        chunks.append(write_shard(out / name, np.stack(images[:n]), np.array(images_of[:n]), len(classes)))
        del images[:n], images_of[:n]

    with counting(source.title, len(order)) as advance, writing(f"--out {out}", "; remove its contents"):
        out.mkdir(parents=True, exist_ok=True)
        decode = partial(decode_item, source, decoder)
        for results in parallel_map(decode, order, lambda item: (item, CRASHED)):
            for item, decoded in results:
                if isinstance(decoded, str):
                    print(f"skipped: {source.names[item]!r}: {decoded}", file=sys.stderr)
                    continue
                images += decoded
                images_of += [labels_of[item]] * len(decoded)
                if classes:
                    counts[classes[labels_of[item]]] += len(decoded)
            while len(images) >= size:
                write(size)
            advance(len(results))
        if images:
            write(len(images))
        if not chunks:
            raise UserError(f"{source.where}: none of its {len(order)} images can be read")
        write_json(out / INDEX, {"chunks": chunks, "config": CONFIG, "classes": counts})
    return sum(chunk["chunk_size"] for chunk in chunks)


def decode_item(source: ImageFiles, decoder: Decoder, item: int) -> tuple[int, list[np.ndarray] | str]:
    """Return the item, and its images (H, W, C) or why it cannot be read."""
    try:
        images = source.decode(source.content(item), decoder)
        return item, [np.ascontiguousarray(image.pixels.transpose(1, 2, 0)) for image in images]
    except ImageError as error:
        return item, str(error)


def row_type(shape: tuple[int, ...]) -> np.dtype:
    """Return the structure of a row with an image of (H, W, C)."""
    fields = [("lengths", "<u4", 3), ("dtype", "<u4"), ("axes", "<u4"), ("shape", "<u4", 3)]
    return np.dtype([*fields, ("image", "u1", shape), ("label", "<i8"), ("classes", "<i8")])


def header(images: int, row_size: int) -> np.ndarray:
    """Return the start of a shard: the number of rows, and where each row starts and the last ends."""
    starts = 4 * (images + 2) + row_size * np.arange(images + 1)
    return np.array([images, *starts.tolist()], "<u4")


def constants(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the values that all rows of a shard have in common."""
    return {"lengths": [20 + int(np.prod(shape)), 8, 8], "dtype": UINT8, "axes": 3, "shape": shape}


def write_shard(path: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Write a shard of images uint8 (n, H, W, C) with labels (n,), and return its entry in the index."""
    shape = images.shape[1:]
    rows = np.empty(len(images), row_type(shape))
    for name, value in {**constants(shape), "image": images, "label": labels, "classes": classes}.items():
        rows[name] = value
    path.write_bytes(header(len(rows), rows.itemsize).tobytes() + rows.tobytes())
    return {"chunk_bytes": rows.nbytes, "chunk_size": len(rows), "dim": None, "filename": path.name}


def read_shape(path: Path, images: int) -> tuple[int, ...]:
    """Return (H, W, C) of the first image of a shard; raise InvalidShards or OSError."""
    start = header(images, 0).nbytes
    if os.stat(path).st_size < start + OTHERS:  # before opening: opening a pipe would block
        raise InvalidShards(f"{path.name} does not contain {images} images; its copy may be incomplete")
    row = np.fromfile(path, row_type((1,)), 1, offset=start)
    return tuple(row["shape"][0].tolist())


def read_shard(path: Path, images: int, shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (n, H, W, C) and labels int64 (n,) of a shard.

    The whole file is read into memory: truncating a memory-mapped file during training would kill the process.

    Raises:
        InvalidShards: the shard does not contain this number of images of this shape.
        OSError: the file cannot be read.
    """
    rows_of = row_type(shape)
    start = header(images, rows_of.itemsize)
    complete = os.stat(path).st_size == start.nbytes + images * rows_of.itemsize
    data = np.fromfile(path, np.uint8) if complete else np.empty(0, np.uint8)
    if not np.array_equal(data[: start.nbytes].view("<u4"), start):
        raise InvalidShards(f"it does not contain {images} images of {shape}; its copy may be incomplete")
    rows = data[start.nbytes :].view(rows_of)
    if any((rows[name] != value).any() for name, value in constants(shape).items()):
        raise InvalidShards("it contains images of another shape or dtype")
    labels = rows["label"].astype(np.int64)
    if (labels < 0).any() or (classes and (labels >= classes).any()):
        raise InvalidShards("it contains labels out of range")
    return rows["image"], labels


def read_index(path: Path) -> ShardIndex:
    """Return the content of an index.json; raise InvalidShards or OSError."""
    try:
        table = read_json(path, MAX_INDEX_BYTES)
        names, sizes = ([chunk[key] for chunk in table["chunks"]] for key in ("filename", "chunk_size"))
        classes = dict(table.get("classes", {}))
        valid = 0 < len(names) == len(set(names)) and all(map(NAME.fullmatch, names))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidShards(f"{path.name} is not an index of shards: {error}") from error
    if not valid or not all(type(size) is int and 0 < size < MAX_IMAGES for size in sizes):
        raise InvalidShards(f"{path.name} lists a shard with an invalid name or number of images")
    if classes and (
        not all(type(n) is int and n >= 0 for n in classes.values()) or sum(classes.values()) != sum(sizes)
    ):
        raise InvalidShards(f"{path.name} lists classes with other numbers of images than its shards")
    return ShardIndex(names, sizes, classes)
