"""Datasets larger than a disk: read shards of pixels from a folder or URL in a fixed endless order (litdata)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from gan.common.errors import UserError, at_least, to_line
from gan.common.home import with_home
from gan.common.processes import check_workers
from gan.common.program import install
from gan.common.size import pair
from gan.data.module import dataloader, position
from gan.data.random_crop_flip import RandomCropFlip
from gan.data.sampler import per_rank_batch_size
from gan.data.shards.shard_index import InvalidShards, check, check_first, check_shard, rejected

MAX_GROUPS = 32  # one shard of each group is in memory, and a batch takes images from all groups
MAX_CLASSES = 100_000
MIN_SHARDS_PER_GROUP = 4  # with fewer, images of small groups would be seen noticeably more often


class ShardGroup:
    """The endless order of a group of shards. Each epoch shuffles the shards and the images in each shard."""

    def __init__(self, shards: np.ndarray, sizes: np.ndarray, key: tuple[int, ...]) -> None:
        self.shards = shards
        self.sizes = sizes[shards]
        self.key = key
        self.length = int(self.sizes.sum())
        self.epoch, self.order, self.ends = -1, np.empty(0, np.int64), np.empty(0, np.int64)  # results of the last call
        self.turn, self.inside = -1, np.empty(0, np.int64)

    def at(self, place: int) -> tuple[int, int]:
        """Return the shard of image `place` of the group and its index there. They depend only on (key, place)."""
        epoch, place = divmod(place, self.length)
        if epoch != self.epoch:
            self.order = np.random.default_rng((*self.key, epoch)).permutation(len(self.shards))
            self.ends = self.sizes[self.order].cumsum()
            self.epoch, self.turn = epoch, -1
        turn = int(np.searchsorted(self.ends, place, side="right"))
        shard = self.order[turn]
        if turn != self.turn:
            self.inside = np.random.default_rng((*self.key, epoch, turn)).permutation(int(self.sizes[shard]))
            self.turn = turn
        return int(self.shards[shard]), int(self.inside[place - self.ends[turn] + self.sizes[shard]])


def shard_groups(sizes: Sequence[int], batch_size: int, seed: int) -> list[ShardGroup]:
    """Return random groups of shards. The number of groups divides the batch size and is at most MAX_GROUPS."""
    count = max(n for n in range(1, min(MAX_GROUPS, batch_size) + 1) if batch_size % n == 0 and (
        n == 1 or n * MIN_SHARDS_PER_GROUP <= len(sizes)))  # fmt: skip
    order = np.random.default_rng((seed, 2)).permutation(len(sizes))
    return [ShardGroup(order[group::count], np.array(sizes), (seed, 3, group)) for group in range(count)]


class ShardBatches(IterableDataset[dict[str, Tensor]]):
    """One rank's part of each batch. Position p of a batch is always taken from the same group of shards.

    Therefore a rank reads only the shards of its groups, and the order does not depend on the number of ranks or
    workers.
    """

    def __init__(
        self,
        table: Any,
        batch_size: int,
        seed: int,
        rank: int,
        ranks: int,
        start: int,
        crop_flip: RandomCropFlip | None,
        shape: tuple[int, ...],
        classes: int,
        folder: Path | None = None,
    ) -> None:
        self.table = table
        self.shape = shape  # (H, W, C)
        self.classes = classes
        self.folder = folder  # None for a URL
        self.batch_size = batch_size
        self.per_rank = per_rank_batch_size(batch_size, ranks)
        self.rank = rank
        self.start = start
        self.crop_flip = crop_flip
        sizes = [end - begin for begin, end in table.region_of_interest]
        self.first = np.cumsum([0, *sizes])  # first image of each shard
        self.shard_groups = shard_groups(sizes, batch_size, seed)
        self.loaded: dict[int, tuple[int, Tensor, Tensor]] = {}  # the shard in memory, by group

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        each = self.batch_size // len(self.shard_groups)  # positions of a group in a batch
        for batch in itertools.count(self.start + first, step):
            images, labels = [], []
            for place in range(self.rank * self.per_rank, (self.rank + 1) * self.per_rank):
                group, turn = divmod(place, each)
                shard, index = self.shard_groups[group].at(batch * each + turn)
                image, label = self.read(group, shard)
                images.append(image[index])
                labels.append(label[index])
            stacked = torch.stack(images).permute(0, 3, 1, 2)  # (N, C, H, W)
            if self.crop_flip:
                stacked = self.crop_flip(stacked, batch * self.batch_size + self.rank * self.per_rank)
            yield {"image": stacked, "label": torch.stack(labels)}

    def read(self, group: int, shard: int) -> tuple[Tensor, Tensor]:
        """Return images uint8 (n, H, W, C) and labels (n,) of a shard; the group keeps its last shard in memory."""
        if group not in self.loaded or self.loaded[group][0] != shard:
            places = range(int(self.first[shard]), int(self.first[shard + 1]))
            name = self.table.subsampled_files[shard]
            try:
                if self.folder:
                    check_shard(self.folder / name, len(places), int(np.prod(self.shape)))
                rows = [self.table[place] for place in places]
                if any(row["image"].dtype != np.uint8 or row["image"].shape != self.shape for row in rows):
                    raise InvalidShards("it contains images of another shape or dtype")
                if any(not 0 <= row["label"] < max(self.classes, 1) for row in rows):
                    raise InvalidShards("it contains labels out of range")
            except Exception as error:  # files, networks and storage services raise different errors
                raise UserError(f"data.root: shard {name} cannot be read ({error}); continue with resume=") from error
            images = torch.from_numpy(np.stack([row["image"] for row in rows]))
            self.loaded[group] = (shard, images, torch.tensor([row["label"] for row in rows]))
        return self.loaded[group][1], self.loaded[group][2]


class StreamingDataModule(LightningDataModule):
    """Batches from shards written by `gan data pack`; a batch is as in `ImageDataModule`.

    Args:
        root: folder or URL of the shards.
        size, channels: the values with which the shards were packed.
        flip: flip each image horizontally with probability 0.5.
        max_images: has no effect, so that debug= works: a stream reads only the shards of the images that it shows.
        max_cache_size: disk space on this machine for the shards of a URL, such as 100GB.
        num_workers: number of processes that read shards; 1 reads ahead while the model trains.

    Raises:
        UserError: litdata is not installed, there are no shards, or they were packed with another size.
    """

    def __init__(
        self,
        root: str,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        flip: bool = False,
        max_images: int | None = None,
        max_cache_size: str = "100GB",
        num_workers: int = 1,
    ) -> None:
        super().__init__()
        self.root = with_home(root)
        self.folder = None if "://" in root else Path(self.root)
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.crop_flip = RandomCropFlip(self.size, True, seed) if flip else None
        self.max_cache_size = max_cache_size
        self.num_workers = check_workers(num_workers)
        self.table: Any = None
        self.classes: list[str] = []

    def setup(self, stage: str) -> None:
        if self.table is not None:
            return
        try:
            from litdata import StreamingDataset
        except ImportError as error:
            raise UserError(f"data=stream needs the litdata library: {install('stream')}") from error
        if self.folder and not os.path.lexists(self.folder / "index.json"):
            raise UserError(f"data.root={self.root}: no shards found; create them with gan data pack")
        try:
            if self.folder:
                check(self.folder / "index.json")
            self.table = StreamingDataset(self.root, shuffle=False, max_cache_size=self.max_cache_size)
            check(Path(self.table.input_dir.path) / "index.json")  # litdata may have downloaded it
            if self.folder:
                begin, end = self.table.region_of_interest[0]
                check_first(self.folder / self.table.subsampled_files[0], end - begin)
            first = self.table[0]
            shape = first["image"].shape
            if len(shape) != 3 or not 0 <= first["classes"] <= MAX_CLASSES:
                raise InvalidShards(f"an image of shape {shape} and {first['classes']} classes")
            self.classes = [str(label) for label in range(first["classes"])]
        except InvalidShards as error:
            raise rejected(self.root, error) from error
        except Exception as error:  # files, networks and storage services raise different errors
            raise UserError(f"data.root={self.root}: cannot be read ({to_line(error)})") from error
        height, width, channels = shape
        if (height, width, channels) != (*self.size, self.channels):
            sizes = f"data.size=[{height},{width}] data.channels={channels}"
            raise UserError(f"data.root={self.root}: was packed with {sizes}; use these values")

    def _batches(self, rank: int, ranks: int, start: int) -> ShardBatches:
        shape = (*self.size, self.channels)
        order = self.batch_size, self.seed, rank, ranks, start, self.crop_flip
        return ShardBatches(self.table, *order, shape, len(self.classes), self.folder)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        return dataloader(self._batches(*position(self.trainer)), self.num_workers)

    def preview(self, n: int) -> Tensor:
        """Return the first n images of the stream, uint8 (n, C, H, W)."""
        n = min(n, len(self))
        if n == 0:
            return torch.empty(0, self.channels, *self.size, dtype=torch.uint8)
        needed = itertools.islice(self._batches(0, 1, 0), -(-n // self.batch_size))
        return torch.cat([batch["image"] for batch in needed])[:n]

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n training images. No images are held out."""
        return self.preview(0 if held_out else n)

    @property
    def flips(self) -> bool:
        """Whether training flips images at random."""
        return self.crop_flip is not None

    def __len__(self) -> int:
        """Return the number of images in all shards."""
        return len(self.table)
