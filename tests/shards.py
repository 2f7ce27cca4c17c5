"""Write shards as `gan data pack` does, of arrays in place of files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gan.data.shards import ShardIndex, write_index, write_shard


def write_shards(
    folder: Path, parts: Iterable[tuple[np.ndarray, np.ndarray]], classes: dict[str, int] | None = None
) -> Path:
    """Write a shard for each part: images uint8 (n, H, W, C) and labels (n,). Return the folder.

    Args:
        classes: number of images of each class, by name.
    """
    folder.mkdir()
    index = ShardIndex([], [], classes or {}, ())
    for number, (images, labels) in enumerate(parts):
        index.names.append(f"shard-{number}.npy")
        index.sizes.append(len(images))
        index = index._replace(shape=images.shape[1:])
        write_shard(folder / index.names[-1], images, labels)
    write_index(folder, index)
    return folder
