"""Features of real images, kept in the cache: they are the same for all runs on a set."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import reason
from gan.common.files import write_atomically
from gan.data.decoding.cache_index import folder
from gan.metrics.extractors import features, fingerprint


def remembered(extractor: Any, images: Tensor, advance: Callable[[int], None] = lambda done: None) -> Tensor:
    """`features(extractor, images, advance)`, from the cache where they are in it."""
    path = place(extractor, images)
    found = read(path)
    if found is None or len(found) != len(images):
        found = features(extractor, images, advance)
        write(path, found)
    else:
        advance(len(images))
    return found


def place(extractor: Any, images: Tensor) -> Path:
    """Their file, named by all that they depend on: the pixels, the extractor, its code, its weights, its device."""
    key = hashlib.blake2b(digest_size=12)
    key.update(repr((extractor.name, tuple(images.shape), *fingerprint(extractor))).encode())
    key.update(images.contiguous().numpy().data)
    return folder() / "features" / f"{key.hexdigest()}.npy"


def read(path: Path) -> Tensor | None:
    """Features (n, d) from a file; None where it is not there or is not such as `write` makes them.

    It is mapped first: a header can ask for any amount of memory, and a map is no longer than its file.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # a pipe would be waited for
            return None
        found = np.lib.format.open_memmap(path, mode="r")  # which reads no pickles and no archives
        return torch.from_numpy(np.array(found)) if found.ndim == 2 and found.dtype.kind == "f" else None
    except Exception:  # headers that are damaged raise nearly anything
        return None


def write(path: Path, found: Tensor) -> None:
    """Keep features; where the disk is full they are made anew the next time, which is said."""
    try:
        write_atomically(path, lambda file: np.save(file, found.numpy(), allow_pickle=False))
    except OSError as error:
        print(f"cache: {path.parent} cannot be written ({reason(error)}): features are made anew", file=sys.stderr)
