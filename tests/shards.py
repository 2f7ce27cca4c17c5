"""Write shards as `gan data pack` does, but without litdata, which takes seconds to start its processes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gan.data.shards.shard_file import Kind, header_size, rows_of
from gan.data.shards.shard_index import CLASSES, FIXED, SPEC


def write_shards(
    folder: Path, parts: Iterable[tuple[np.ndarray, np.ndarray]], kind: Kind, classes: dict[str, int] | None = None
) -> Path:
    """Write a shard for each part: images uint8 (n, H, W, C) and labels (n,). Return the folder.

    Args:
        classes: number of images of each class, by name; None writes an index as an earlier version did.
    """
    folder.mkdir()
    chunks = [write_shard(folder / f"chunk-0-{number}.bin", *part, kind) for number, part in enumerate(parts)]
    config = FIXED | {"data_spec": json.dumps(SPEC), "compression": None}
    index = {"chunks": chunks, "config": config} | ({} if classes is None else {CLASSES: classes})
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def write_shard(path: Path, images: np.ndarray, labels: np.ndarray, kind: Kind) -> dict[str, Any]:
    """Write a shard, and return its entry in the index."""
    rows = np.empty(len(images), rows_of(kind.shape))
    rows["lengths"], rows["dtype"], rows["axes"] = [20 + images[0].size, 8, 8], 4, 3
    rows["shape"], rows["image"], rows["label"], rows["classes"] = kind.shape, images, labels, kind.classes
    header = header_size(len(rows))
    starts = [len(rows), *range(header, header + rows.nbytes + 1, rows.itemsize)]
    path.write_bytes(np.array(starts, "<u4").tobytes() + rows.tobytes())
    return {"chunk_bytes": rows.nbytes, "chunk_size": len(rows), "dim": None, "filename": path.name}
