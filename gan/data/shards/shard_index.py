"""Read and check the index.json of shards: only what `gan data pack` writes is accepted.

An index in litdata's format selects how items are read, for example with pickle, and which files are opened. The check
accepts only arrays of bytes in files of the same folder.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.errors import UserError
from gan.common.files import is_text, write_json

MAX_INDEX_BYTES = 32 << 20  # maximum size of an index; enough for about 300,000 shards
MAX_IMAGES = 1 << 20  # maximum number of images in a shard
MAX_CLASSES = 100_000
MAX_NAME = 1000  # characters of the name of a class
CLASSES = "classes"  # our key in litdata's index
NAME = re.compile(r"chunk-\d+-\d+\.bin", re.ASCII)
LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
SPEC = [1, {"type": "builtins.dict", "context": '["image", "label", "classes"]', "children_spec": [LEAF] * 3}]
FIXED = {"data_format": ["numpy", "int", "int"], "item_loader": "PyTreeLoader"}  # required in the index's "config"
FREE = {"chunk_size", "chunk_bytes", "types", "data_spec"}  # keys with any value; all remaining keys must be null


class InvalidShards(ValueError):
    """The shards were not written by `gan data pack`, or changed since."""


class ShardIndex(NamedTuple):
    """The content of an index.json.

    Attributes:
        names: file name of each shard.
        sizes: number of images of each shard.
        classes: number of images of each class, by its name in the order of labels; None if the shards were packed by
            an earlier version, which stored numbers of labels only.
    """

    names: list[str]
    sizes: list[int]
    classes: dict[str, int] | None


def read_index(path: Path) -> ShardIndex:
    """Return the content of an index.json after checking it; raise InvalidShards or OSError."""
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
    names = [check_chunk(chunk)["filename"] for chunk in chunks]
    if len(set(names)) != len(names):
        raise InvalidShards(f"{path.name} lists a shard twice")
    sizes = [chunk["chunk_size"] for chunk in chunks]
    return ShardIndex(names, sizes, check_classes(index[CLASSES], sum(sizes)) if CLASSES in index else None)


def check_classes(classes: Any, images: int) -> dict[str, int]:
    """Return the classes of an index with this number of images; raise InvalidShards if they are not valid."""
    if not isinstance(classes, dict):
        raise InvalidShards("its classes are not names with numbers of images")
    check_names(classes)
    if any(type(count) is not int or count < 0 for count in classes.values()):
        raise InvalidShards("it has a class with an invalid number of images")
    if sum(classes.values()) != images:
        raise InvalidShards(f"its classes have {sum(classes.values()):,} images, but its shards {images:,}")
    return classes


def check_names(classes: Collection[str]) -> None:
    """Raise InvalidShards if there are too many names of classes, or one is too long or cannot be encoded."""
    if len(classes) > MAX_CLASSES:
        raise InvalidShards(f"{len(classes):,} classes are more than {MAX_CLASSES:,}")
    if long := next((name for name in classes if len(name) > MAX_NAME), None):
        raise InvalidShards(f"the name of a class has {len(long):,} characters, more than {MAX_NAME:,}")
    if not all(map(is_text, classes)):
        raise InvalidShards("the name of a class is not text")  # a checkpoint with this name would be refused


def add_classes(path: Path, classes: dict[str, int]) -> None:
    """Add the classes to an index.json, atomically. litdata ignores them, and downloads them with the index."""
    write_json(path, json.loads(path.read_bytes()) | {CLASSES: classes})


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


def check_file(path: Path, max_bytes: int | None = None) -> None:
    status = os.stat(path)  # before opening: opening a pipe would block
    if not stat.S_ISREG(status.st_mode):
        raise InvalidShards(f"{path.name} is not a file")
    if max_bytes is not None and status.st_size > max_bytes:
        raise InvalidShards(f"{path.name} has {status.st_size:,} bytes, more than {max_bytes:,}")


def rejected(root: str, error: Exception) -> UserError:
    return UserError(f"data.root={root}: rejected, not written by gan data pack ({error}); pack the images again")
