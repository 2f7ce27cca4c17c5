"""Cache the features of real images. All runs on a dataset share them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.data.decoding.cache import FEATURES, folder
from gan.metrics.extractors import features, fingerprint
from gan.utils import digest
from gan.utils.errors import reason
from gan.utils.files import write_atomically


def cached_features(extractor: Any, images: Tensor) -> Tensor:
    """Return `features(extractor, images)`, from the cache if possible."""
    path = cache_path(extractor, images)
    found = read_features(path)
    if found is None or len(found) != len(images):
        found = features(extractor, images)
        write(path, found)
    return found


def cache_path(extractor: Any, images: Tensor) -> Path:
    """Return the path of the features, which depends on the pixels and the extractor's code, weights and device."""
    key = repr((extractor.name, tuple(images.shape), *fingerprint(extractor)))
    return folder() / FEATURES / f"{digest.of_tensors([(key, images)])}.npy"


def read_features(path: Path) -> Tensor | None:
    """Return features (n, d) from a file; None if it does not exist or was not written by `write`.

    The file is memory-mapped first, so that a forged header cannot allocate more memory than the size of the file.
    """
    try:
        if not path.is_file():  # reading a pipe would block
            return None
        found = np.lib.format.open_memmap(path, mode="r")  # reads no pickles and no archives
        return torch.from_numpy(np.array(found)) if found.ndim == 2 and found.dtype.kind == "f" else None
    except Exception:  # damaged headers raise many kinds of error
        return None


def write(path: Path, found: Tensor) -> None:
    """Write features. If they cannot be written, print a note; they are then computed again the next time."""
    try:
        write_atomically(path, lambda file: np.save(file, found.numpy(), allow_pickle=False))
    except OSError as error:
        print(f"cache: {path.parent} cannot be written ({reason(error)}); features are not cached", file=sys.stderr)
