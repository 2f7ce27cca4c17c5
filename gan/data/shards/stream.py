"""Datasets larger than memory: read shards of pixels from a folder or URL in a fixed endless order."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from gan.common.errors import UserError, at_least, to_line
from gan.common.nested import with_home
from gan.common.option_values import check_workers, pair
from gan.data.module import dataloader, position
from gan.data.random_crop_flip import RandomCropFlip
from gan.data.sampler import per_rank_batch_size
from gan.data.shards.order import held_out_shards, shard_groups
from gan.data.shards.shard_file import Kind, read_kind, read_shard
from gan.data.shards.shard_index import InvalidShards, read_index, rejected
from gan.data.shards.storage import INDEX, Bucket, Folder, parse_bytes


class Shards:
    """A set of shards, such as those of training.

    Args:
        names, sizes: file name and number of images of each shard.
        kind: shape of the images, and number of classes.
    """

    def __init__(self, storage: Folder | Bucket, names: Sequence[str], sizes: Sequence[int], kind: Kind) -> None:
        self.storage = storage
        self.names = list(names)
        self.sizes = list(sizes)
        self.kind = kind

    def subset(self, mask: np.ndarray) -> Shards:
        """Return the shards at which a mask, bool (shards,), is True."""
        chosen = np.flatnonzero(mask)
        return Shards(self.storage, [self.names[n] for n in chosen], [self.sizes[n] for n in chosen], self.kind)

    def read(self, shard: int) -> tuple[Tensor, Tensor]:
        """Return images uint8 (n, H, W, C) and labels int64 (n,) of a shard; raise UserError if it cannot be read."""
        name = self.names[shard]
        try:
            with self.storage.file(name) as path:
                return read_shard(path, self.sizes[shard], self.kind)
        except Exception as error:  # files, networks and storage services raise different errors
            raise UserError(f"data.root: shard {name} cannot be read ({error}); continue with resume=") from error

    def __len__(self) -> int:
        """Return the number of images."""
        return sum(self.sizes)


class ShardBatches(IterableDataset[dict[str, Tensor]]):
    """One rank's part of each batch. Position p of a batch is always taken from the same group of shards.

    Therefore a rank reads only the shards of its groups, and the order does not depend on the number of ranks or
    workers.
    """

    def __init__(
        self,
        shards: Shards,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        start: int = 0,
        crop_flip: RandomCropFlip | None = None,
    ) -> None:
        self.shards = shards
        self.batch_size = batch_size
        self.per_rank = per_rank_batch_size(batch_size, ranks)
        self.rank = rank
        self.start = start
        self.crop_flip = crop_flip
        self.shard_groups = shard_groups(shards.sizes, batch_size, seed)
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
        """Return images and labels of a shard, as `Shards.read`; the group keeps its last shard in memory."""
        if group not in self.loaded or self.loaded[group][0] != shard:
            self.loaded.pop(group, None)  # before the next one is read
            self.loaded[group] = (shard, *self.shards.read(shard))
        return self.loaded[group][1], self.loaded[group][2]


class StreamingDataModule(LightningDataModule):
    """Batches from shards written by `gan data pack`; a batch is as in `ImageDataModule`.

    Args:
        root: folder or URL of the shards.
        size, channels: the values with which the shards were packed.
        labels: True for the classes of the shards, False or None for no classes.
        flip: flip each image horizontally with probability 0.5.
        validation: fraction of the shards to hold out, at least one; None trains on all shards.
        max_images: accepted for debug=, but has no effect: a stream reads only the shards that it uses.
        max_cache_size: disk space on this machine for the shards of a URL, such as 100GB.
        num_workers: number of processes that read shards; 1 reads ahead while the model trains.

    Raises:
        UserError: there are no shards, they were packed with another size or without classes, or they are too few to
            hold out some.
    """

    def __init__(
        self,
        root: str,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        labels: bool | None = None,
        flip: bool = False,
        validation: float | None = None,
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
        if not isinstance(labels, bool | None):
            raise UserError(f"data.labels={labels}: must be true or false; the classes were chosen by gan data pack")
        self.use_labels = bool(labels)
        self.crop_flip = RandomCropFlip(self.size, True, seed) if flip else None
        self.validation = validation
        self.max_cache_size = parse_bytes("data.max_cache_size", max_cache_size)
        self.num_workers = check_workers(num_workers)
        self.classes: list[str] = []
        self.counts: dict[str, int] | None = None  # number of images of each class; None if the index has none
        self.shards: Shards | None = None
        self.held_out: Shards | None = None

    def setup(self, stage: str) -> None:
        if self.shards is not None:
            return
        if self.folder and not os.path.lexists(self.folder / INDEX):
            raise UserError(f"data.root={self.root}: no shards found; create them with gan data pack")
        storage = Folder(self.folder) if self.folder else Bucket(self.root, self.max_cache_size)
        try:
            with storage.index() as path:
                index = read_index(path)
            with storage.file(index.names[0]) as path:
                kind = read_kind(path, index.sizes[0])
            if index.classes is not None and len(index.classes) != kind.classes:
                raise InvalidShards(f"its index has {len(index.classes)} classes, but its shards {kind.classes}")
        except InvalidShards as error:
            raise rejected(self.root, error) from error
        except UserError:
            raise
        except Exception as error:  # files, networks and storage services raise different errors
            raise UserError(f"data.root={self.root}: cannot be read ({to_line(error)})") from error
        height, width, channels = kind.shape
        if kind.shape != (*self.size, self.channels):
            sizes = f"data.size=[{height},{width}] data.channels={channels}"
            raise UserError(f"data.root={self.root}: was packed with {sizes}; use these values")
        if self.use_labels:
            self.select_classes(index.classes, kind.classes)
        every = Shards(storage, index.names, index.sizes, kind)
        mask = held_out_shards(len(index.names), self.validation)
        self.shards, self.held_out = every.subset(~mask), every.subset(mask)

    def select_classes(self, counts: dict[str, int] | None, number: int) -> None:
        """Set the names of the classes, which are numbers if the shards have no names; raise UserError if none."""
        if number < 2:
            raise UserError(f"data.labels=true: {self.root} was packed without classes; pack with --labels")
        self.classes = list(counts) if counts else [str(label) for label in range(number)]
        self.counts = counts

    def class_names(self) -> list[str]:
        """Return the names of the classes; empty without data.labels=true."""
        self.setup("fit")
        return self.classes

    def class_counts(self) -> Tensor:
        """Return the number of images of each class, (classes,), in all shards.

        Held-out shards are included: only the ratios matter, and their images are a random sample. If the index has no
        names of classes, all shards are read to count the images.
        """
        if self.counts is None:
            shards = [part for part in (self.shards, self.held_out) if part]
            labels = (part.read(n)[1] for part in shards for n in range(len(part.names)))
            found = sum((torch.bincount(each, minlength=len(self.classes)) for each in labels), torch.tensor(0))
            self.counts = dict(zip(self.classes, found.tolist(), strict=True))
        return torch.tensor(list(self.counts.values()))

    def _batches(self, rank: int = 0, ranks: int = 1, start: int = 0) -> ShardBatches:
        assert self.shards is not None, "setup() comes first"
        return ShardBatches(self.shards, self.batch_size, self.seed, rank, ranks, start, self.crop_flip)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        return dataloader(self._batches(*position(self.trainer)), self.num_workers)

    def preview(self, n: int) -> Tensor:
        """Return the first n images of the stream, uint8 (n, C, H, W), or all images if there are fewer."""
        return self._first(n)[0]

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n training or held-out images for evaluation, uint8 (n, C, H, W), or all if there are fewer."""
        return self._first_held_out(n)[0] if held_out else self.preview(n)

    def real_labels(self, n: int, held_out: bool = False) -> Tensor:
        """Return the labels (n,) of `reals`."""
        return (self._first_held_out(n) if held_out else self._first(n))[1]

    def _first(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the first n images of the stream, and their labels."""
        n = min(n, len(self))
        batches = itertools.islice(self._batches(), -(-n // self.batch_size))
        return self._joined([(batch["image"], batch["label"]) for batch in batches], n)

    def _first_held_out(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the first n held-out images, and their labels. Packing has shuffled them."""
        assert self.held_out is not None, "setup() comes first"
        needed = int(np.searchsorted(np.cumsum(self.held_out.sizes), n)) + 1 if n else 0
        found = [self.held_out.read(shard) for shard in range(min(needed, len(self.held_out.names)))]
        images, labels = self._joined([(images.permute(0, 3, 1, 2), labels) for images, labels in found], n)
        return self.crop_flip(images, 0) if self.crop_flip and len(images) else images, labels

    def _joined(self, parts: list[tuple[Tensor, Tensor]], n: int) -> tuple[Tensor, Tensor]:
        """Return the first n of images (N, C, H, W) in parts, and of their labels."""
        images = torch.empty(0, self.channels, *self.size, dtype=torch.uint8)
        labels = torch.empty(0, dtype=torch.int64)
        return torch.cat([images, *(part[0] for part in parts)])[:n], torch.cat([labels, *(p[1] for p in parts)])[:n]

    @property
    def flips(self) -> bool:
        """Whether training flips images at random."""
        return self.crop_flip is not None

    def __len__(self) -> int:
        """Return the number of training images."""
        return 0 if self.shards is None else len(self.shards)
