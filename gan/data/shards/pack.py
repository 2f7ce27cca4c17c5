"""Write a folder of images as shards of decoded pixels for `data=stream`."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gan.common.errors import UserError, install
from gan.data.decoding.decode import Decoder
from gan.data.decoding.errors import ImageError
from gan.data.shards.shard_file import Kind, read_shard
from gan.data.shards.shard_index import InvalidShards, ShardIndex, add_classes, check_names, read_index
from gan.data.shards.storage import INDEX
from gan.data.sources.files import ImageFiles

SKIPPED = "skipped: "
SHARD_SIZE = 512  # images: 6 MB at 64 pixels with three channels
MAX_SHARDS = 300_000  # whose index has about the size that `gan.data.shards.shard_index` reads
MIN_SHARDS = 64  # minimum number of shards of a small set, because a batch is taken from up to 32 shards


def pack(roots: list[str], out: Path, decoder: Decoder, labels: bool | str, processes: int) -> int:
    """Decode all images of folders or archives into shards in `out`, in a fixed random order.

    Returns:
        The number of images written.

    Raises:
        UserError: litdata is not installed, `out` is not empty, or no image can be read.
    """
    try:
        import litdata
    except ImportError as error:
        raise UserError(f"packing needs the litdata library: {install('stream')}") from error
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not empty; use another folder")
    source = ImageFiles(roots)
    classes, item_labels = source.classes(labels)
    try:
        check_names(classes)
    except InvalidShards as error:
        raise UserError(f"--labels: {error}") from error
    if len(source.keys) > MAX_SHARDS * SHARD_SIZE:
        limit = f"{MAX_SHARDS * SHARD_SIZE:,}"
        raise UserError(f"{source.where}: {len(source.keys):,} files are too many; pack at most {limit} into a folder")
    order = np.random.default_rng(0).permutation(len(source.keys)).tolist()
    with quiet_children(out):
        litdata.optimize(
            ShardRows(source, decoder, item_labels, len(classes)),
            order,
            str(out),
            chunk_size=max(1, min(SHARD_SIZE, len(order) // MIN_SHARDS)),
            num_workers=min(processes, len(order)),
            start_method="spawn",
            keep_data_ordered=True,
            verbose=False,
        )
    try:
        index = read_index(out / INDEX)
    except (InvalidShards, OSError) as error:
        raise UserError(f"{source.where}: none of its {len(order)} images can be read") from error
    if classes:
        counts = count_labels(out, index, Kind((*decoder.size, decoder.channels), len(classes)))
        add_classes(out / INDEX, dict(zip(classes, counts, strict=True)))
    return sum(index.sizes)


def count_labels(out: Path, index: ShardIndex, kind: Kind) -> list[int]:
    """Return the number of images of each class in shards that were just written."""
    counts = np.zeros(kind.classes, np.int64)
    for name, size in zip(index.names, index.sizes, strict=True):
        counts += np.bincount(read_shard(out / name, size, kind)[1], minlength=kind.classes)
    return counts.tolist()


@contextmanager
def quiet_children(out: Path) -> Iterator[None]:
    """Capture the output of child processes, and print only which images they have skipped.

    Raises:
        UserError: a child has failed with an OSError, such as a full disk.
    """
    terminal, handler = os.dup(2), signal.getsignal(signal.SIGINT)
    set_handler: Any = signal.signal
    with tempfile.TemporaryFile("w+", errors="replace") as log, open(terminal, "w") as own:
        before, sys.stderr = sys.stderr, own if sys.stderr is sys.__stderr__ else sys.stderr
        os.dup2(log.fileno(), 2)
        # prevent litdata from setting its own handler, which ends this process with exit code 0
        signal.signal = lambda number, _: set_handler(number, handler)  # type: ignore[assignment]
        try:
            yield
        except BaseException as error:
            for child in multiprocessing.active_children():
                child.kill()
                child.join()
            log.seek(0)
            if isinstance(error, Exception) and (
                reasons := re.findall(r"\[Errno \d+\] (.+)", f"{log.read()}\n{error}")
            ):
                raise UserError(f"--out {out}: cannot be written ({reasons[0]}); remove its contents") from error
            raise
        finally:
            signal.signal = set_handler
            sys.stderr = before
            os.dup2(terminal, 2)
        log.seek(0)
        for line in log:
            if line.startswith(SKIPPED):
                print(line.rstrip(), file=sys.stderr)


class ShardRows:
    """Converts an item to rows of a shard, one row per image. Unreadable items are skipped, with a message."""

    def __init__(self, source: ImageFiles, decoder: Decoder, labels: list[int], classes: int) -> None:
        self.source = source
        self.decoder = decoder
        self.labels = labels
        self.classes = classes

    def __call__(self, item: int) -> Iterator[dict[str, Any]]:
        try:
            found = list(self.source.decode(self.source.content(item), self.decoder))
        except ImageError as error:
            print(f"{SKIPPED}{self.source.files[item].name!r}: {error}", file=sys.stderr, flush=True)
            return
        for decoded in found:
            image = np.ascontiguousarray(decoded.pixels.transpose(1, 2, 0))  # (H, W, C)
            yield {"image": image, "label": self.labels[item], "classes": self.classes}
