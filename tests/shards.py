"""Write shards as `gan data pack` does, of arrays in place of files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gan.data.shards import INDEX, ShardIndex, write_shard
from gan.utils.files import write_json


def write_shards(
    folder: Path, parts: Iterable[tuple[np.ndarray, np.ndarray]], classes: dict[str, int] | None = None
) -> Path:
    """Write a shard for each part: images uint8 (n, H, W, C) and labels (n,). Return the folder.

    Args:
        classes: number of images of each class, by name.
    """
    folder.mkdir()
    shards = {}
    for number, (images, labels) in enumerate(parts):
        shards[f"shard-{number}.npy"] = len(images)
        write_shard(folder / f"shard-{number}.npy", images, labels)
    write_json(folder / INDEX, ShardIndex(images.shape[1:], classes or {}, shards)._asdict())
    return folder
