"""Validate shards before litdata reads them: only files written by `gan data pack` are accepted.

A hostile index.json can run code: it selects how litdata reads items (pickle is one way), and which files litdata opens
and removes. Therefore the index is checked before litdata reads it, and each shard of a folder is compared with it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from gan.common.errors import UserError

MAX_INDEX_BYTES = 32 << 20  # maximum size of an index; enough for about 300,000 shards
MAX_IMAGES = 1 << 20  # maximum number of images in a shard
NAME = re.compile(r"chunk-\d+-\d+\.bin", re.ASCII)
LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
SPEC = [1, {"type": "builtins.dict", "context": '["image", "label", "classes"]', "children_spec": [LEAF] * 3}]
FIXED = {"data_format": ["numpy", "int", "int"], "item_loader": "PyTreeLoader"}  # required in the index's "config"
FREE = {"chunk_size", "chunk_bytes", "types", "data_spec"}  # keys with other values; all remaining keys are null


class InvalidShards(ValueError):
    """The shards were not written by `gan data pack`, or changed since."""


def check(path: Path) -> None:
    """Check an index.json; raise InvalidShards or OSError."""
    check_file(path, MAX_INDEX_BYTES)
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidShards(f"{path.name} is not JSON ({error})") from error
    if not isinstance(index, dict) or not isinstance(index.get("config"), dict):
        raise InvalidShards(f"{path.name} is not an index of shards")
    check_config(index["config"])
    chunks = index.get("chunks")
    if not isinstance(chunks, list) or not chunks:
        raise InvalidShards(f"{path.name} lists no shards")
    names = {check_chunk(chunk)["filename"] for chunk in chunks}
    if len(names) != len(chunks):
        raise InvalidShards(f"{path.name} lists a shard twice")


def check_config(config: dict[str, Any]) -> None:
    for name, value in FIXED.items():
        if config.get(name) != value:
            raise InvalidShards(f"its {name} is {config.get(name)!r}, not {value!r}")
    for name, value in config.items():
        if name not in FIXED and name not in FREE and value is not None:
            raise InvalidShards(f"its {name} is {value!r}")
    try:
        spec = json.loads(config["data_spec"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidShards("its data_spec is not JSON") from error
    if spec != SPEC:
        raise InvalidShards("its data_spec is not that of images, labels and classes")


def check_chunk(chunk: Any) -> dict[str, Any]:
    if not isinstance(chunk, dict) or not isinstance(chunk.get("filename"), str):
        raise InvalidShards("it lists a shard without a name")
    name = chunk["filename"]
    if not NAME.fullmatch(name):
        raise InvalidShards(f"it lists {name!r}, which is not the name of a shard")
    images, size = chunk.get("chunk_size"), chunk.get("chunk_bytes")
    if type(images) is not int or type(size) is not int or not 0 < images < MAX_IMAGES or not images < size < 1 << 32:
        raise InvalidShards(f"{name} cannot have {images!r} images in {size!r} bytes")
    if chunk.keys() - {"filename", "chunk_size", "chunk_bytes", "dim"} or chunk.get("dim") is not None:
        raise InvalidShards(f"its entry for {name} has unexpected keys")
    return chunk


def check_shard(path: Path, images: int, image_bytes: int) -> None:
    """Check that a shard has this number of images of this size; raise InvalidShards or OSError."""
    check_file(path)
    each = 3 * 4 + (5 * 4 + image_bytes) + 8 + 8  # sizes of three leaves; the image with dtype and shape; two integers
    header = 4 * (images + 2)
    with open(path, "rb") as file:
        numbers = memoryview(file.read(header)).cast("I") if os.fstat(file.fileno()).st_size >= header else None
        size = os.fstat(file.fileno()).st_size
    expected = [images, *range(header, header + each * images + 1, each)]
    if numbers is None or numbers.tolist() != expected or size != expected[-1]:
        raise InvalidShards(f"it does not contain {images} images of {image_bytes} bytes; its copy may be incomplete")


def check_first(path: Path, images: int) -> None:
    """Check the start of a shard before the size of its images is known; raise InvalidShards or OSError."""
    check_file(path)
    with open(path, "rb") as file:
        if file.read(4) != images.to_bytes(4, "little"):
            raise InvalidShards(f"{path.name} does not contain {images} images; its copy may be incomplete")


def check_file(path: Path, max_bytes: int | None = None) -> None:
    status = os.stat(path)  # before opening: opening a pipe would block
    if not stat.S_ISREG(status.st_mode):
        raise InvalidShards(f"{path.name} is not a file")
    if max_bytes is not None and status.st_size > max_bytes:
        raise InvalidShards(f"{path.name} has {status.st_size:,} bytes, more than {max_bytes:,}")


def rejected(root: str, error: Exception) -> UserError:
    return UserError(f"data.root={root}: rejected, not written by gan data pack ({error}); pack the images again")
