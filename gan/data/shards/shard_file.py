"""Read a shard: a file in litdata's format. Each row has an image, its label and the number of classes.

litdata creates Python objects for each row. Here a shard is read as one array: all rows have equal lengths, because all
images have the same shape.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.data.shards.shard_index import MAX_CLASSES, InvalidShards, check_file

UINT8 = 4  # number of this dtype in litdata's list
OTHERS = 12 + 20 + 8 + 8  # bytes of a row without pixels: lengths of its parts; dtype and shape; label; classes


class Kind(NamedTuple):
    """Values that all rows of a set of shards have in common."""

    shape: tuple[int, int, int]  # (H, W, C)
    classes: int  # number of classes; 0 without classes


def rows_of(shape: tuple[int, int, int]) -> np.dtype:
    """Return the structure of a row with an image of (H, W, C)."""
    return np.dtype(
        [
            ("lengths", "<u4", 3),
            ("dtype", "<u4"),
            ("axes", "<u4"),
            ("shape", "<u4", 3),
            ("image", "u1", shape),
            ("label", "<i8"),
            ("classes", "<i8"),
        ]
    )


def header_size(images: int) -> int:
    """Return the size in bytes of the start of a shard: the number of rows, and where each starts and the last ends."""
    return 4 * (images + 2)


def read_kind(path: Path, images: int) -> Kind:
    """Return the shape and the number of classes in the first row of a shard; raise InvalidShards or OSError."""
    check_file(path)
    header = header_size(images)
    with open(path, "rb") as file:
        start = np.frombuffer(file.read(header + OTHERS), "<u4")
        if len(start) < header // 4 + OTHERS // 4 or start[0] != images:
            raise InvalidShards(f"{path.name} does not contain {images} images; its copy may be incomplete")
        _, _, _, dtype, axes, *shape = start[header // 4 :][:8].tolist()
        if dtype != UINT8 or axes != 3 or int(start[2]) - header != OTHERS + np.prod(shape, dtype=object):
            raise InvalidShards(f"{path.name} does not contain images")
        file.seek(int(start[2]) - 8)
        classes = int.from_bytes(file.read(8), "little", signed=True)
    if not 0 <= classes <= MAX_CLASSES:
        raise InvalidShards(f"{path.name} has images of {classes} classes")
    return Kind((shape[0], shape[1], shape[2]), classes)


def read_shard(path: Path, images: int, kind: Kind) -> tuple[Tensor, Tensor]:
    """Return images uint8 (n, H, W, C) and labels int64 (n,) of a shard.

    The whole file is read into memory: truncating a memory-mapped file during training would kill the process.

    Raises:
        InvalidShards: the shard does not contain this number of images of this kind.
        OSError: the file cannot be read.
    """
    check_file(path)
    each, header = OTHERS + int(np.prod(kind.shape)), header_size(images)
    size = header + images * each
    data = np.fromfile(path, np.uint8) if os.stat(path).st_size == size else np.empty(0, np.uint8)
    starts = [images, *range(header, size + 1, each)]
    if len(data) != size or not np.array_equal(data[:header].view("<u4"), starts):
        raise InvalidShards(f"it does not contain {images} images of {kind.shape}; its copy may be incomplete")
    rows = data[header:].view(rows_of(kind.shape))
    same = {"lengths": [each - 28, 8, 8], "dtype": UINT8, "axes": 3, "shape": kind.shape, "classes": kind.classes}
    if any((rows[name] != value).any() for name, value in same.items()):
        raise InvalidShards("it contains images of another shape, dtype or number of classes")
    labels = rows["label"].astype(np.int64)
    if (labels < 0).any() or (labels >= max(kind.classes, 1)).any():
        raise InvalidShards("it contains labels out of range")
    return torch.from_numpy(rows["image"]), torch.from_numpy(labels)
