"""Datasets larger than memory: read shards of pixels from a folder or URL in a fixed endless order."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from gan.data.decoding import cache
from gan.data.module import dataloader, position
from gan.data.order import RandomCropFlip, per_rank_batch_size
from gan.data.shards import INDEX, ShardIndex, read_index, read_shard
from gan.data.split import check_fraction
from gan.utils.errors import UserError, at_least, reason, switch
from gan.utils.files import replace
from gan.utils.object_store import Store, check_address
from gan.utils.option_values import check_workers, pair, with_home

MAX_GROUPS = 32  # a batch takes images from all groups, and one shard of each group is in memory
MIN_SHARDS_PER_GROUP = 4  # with fewer, images of small groups would be used noticeably more often
SPLIT_SEED = 0  # runs with other seeds hold out the same images


class Storage:
    """Shards in a folder, or at a URL. Shards that fit into the cache are downloaded once, others each time.

    An epoch reads each shard once, in random order. Therefore it does not matter which shards the cache keeps.

    Args:
        limit: maximum number of bytes in the cache.
    """

    def __init__(self, root: str, limit: int) -> None:
        self.url = root.rstrip("/") if "://" in root else ""
        self.limit = limit
        self.folder = Path(root)  # for a URL, a folder of the cache, set by `index`

    def index(self) -> ShardIndex:
        """Return the index. From a URL it is downloaded each time; shards of another index are not used."""
        if not self.url:
            return read_index(self.folder / INDEX)
        base = cache.folder() / cache.SHARDS
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as temporary:
            path = Path(temporary) / INDEX
            self.download(path)
            index = read_index(path)
            self.folder = base / hashlib.blake2b(self.url.encode() + path.read_bytes(), digest_size=12).hexdigest()
        return index

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A context with the path of a shard.

        Other processes may use the same cache, so a shard enters it only if it can stay there.
        """
        path = self.folder / name
        if not self.url or path.exists():
            yield path
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as temporary:
            downloaded = Path(temporary) / name
            self.download(downloaded)
            yield downloaded
            cached = sum(shard.stat().st_size for shard in self.folder.glob("*.npy"))
            if cached + downloaded.stat().st_size <= self.limit:
                replace(downloaded, path)

    def download(self, path: Path) -> None:
        store_of(self.url, os.getpid()).download(path.name, path)


@functools.lru_cache(maxsize=4)
def store_of(url: str, process: int) -> Store:
    """Return the store of a URL, made by this process, because connections cannot be forked."""
    return Store(check_address(f"data.root={url}", url))


class Shards:
    """A set of shards, such as those of training."""

    def __init__(self, storage: Storage, index: ShardIndex) -> None:
        self.storage = storage
        self.shape, self.classes, shards = index
        self.names, self.sizes = list(shards), list(shards.values())

    def read(self, shard: int) -> tuple[Tensor, Tensor]:
        """Return images uint8 (n, H, W, C) and labels int64 (n,) of a shard; raise UserError if it cannot be read."""
        name = self.names[shard]
        try:
            with self.storage.file(name) as path:
                images, labels = read_shard(path, self.sizes[shard], self.shape, len(self.classes))
        except Exception as error:  # files, networks and storage services raise different errors
            raise UserError(f"data.root: shard {name} cannot be read ({error}); continue with resume=") from error
        return torch.from_numpy(images), torch.from_numpy(labels)

    def __len__(self) -> int:
        return sum(self.sizes)


def held_out_shards(count: int, validation: float | None) -> np.ndarray:
    """Return a mask, bool (count,), of the shards that are held out: a fraction of them, at least one, or none."""
    mask = np.zeros(count, bool)
    if validation is None:
        return mask
    check_fraction(validation)
    number = max(1, round(validation * count))
    if number >= count:
        raise UserError(f"data.validation={validation}: would hold out all shards ({count}); use less, or null")
    mask[np.random.default_rng((SPLIT_SEED, 4)).permutation(count)[:number]] = True
    return mask


class ShardGroup:
    """The endless order of a group of shards. Each epoch shuffles the shards and the images in each shard."""

    def __init__(self, shards: np.ndarray, sizes: np.ndarray, key: tuple[int, ...]) -> None:
        self.shards = shards
        self.sizes = sizes[shards]
        self.length = int(self.sizes.sum())
        self.key = key

    def at(self, place: int) -> tuple[int, int]:
        """Return the shard of image `place` of the group and its index there. They depend only on (key, place)."""
        epoch, place = divmod(place, self.length)
        order = permutation(len(self.shards), *self.key, epoch)
        ends = self.sizes[order].cumsum()
        turn = int(np.searchsorted(ends, place, side="right"))
        shard = order[turn]
        inside = permutation(int(self.sizes[shard]), *self.key, epoch, turn)
        return int(self.shards[shard]), int(inside[place - ends[turn] + self.sizes[shard]])


@functools.lru_cache(maxsize=4 * MAX_GROUPS)
def permutation(count: int, *key: int) -> np.ndarray:
    """Return a random permutation of `count` numbers, which depends only on the key. Groups use two at a time."""
    return np.random.default_rng(key).permutation(count)


def shard_groups(sizes: Sequence[int], batch_size: int, seed: int) -> list[ShardGroup]:
    """Return random groups of shards. The number of groups divides the batch size and is at most MAX_GROUPS."""
    most = max(1, min(MAX_GROUPS, batch_size, len(sizes) // MIN_SHARDS_PER_GROUP))
    count = max(n for n in range(1, most + 1) if batch_size % n == 0)
    order = np.random.default_rng((seed, 2)).permutation(len(sizes))
    return [ShardGroup(order[group::count], np.array(sizes), (seed, 3, group)) for group in range(count)]


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
        positions = self.batch_size // len(self.shard_groups)  # of a group in a batch
        for batch in itertools.count(self.start + first, step):
            images, labels = [], []
            for place in range(self.rank * self.per_rank, (self.rank + 1) * self.per_rank):
                group, turn = divmod(place, positions)
                shard, index = self.shard_groups[group].at(batch * positions + turn)
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

    `conf/data/stream.yaml` describes the options. `max_images` is accepted for debug=, but has no effect: a stream
    reads only the shards that it uses.
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
        max_cache_gb: int = 100,
        num_workers: int = 1,
    ) -> None:
        super().__init__()
        self.root = with_home(root)
        self.storage = Storage(self.root, at_least("data.max_cache_gb", max_cache_gb, 0) * 10**9)
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.use_labels = switch("data.labels", labels or False)
        self.crop_flip = RandomCropFlip(self.size, True, seed) if flip else None
        self.validation = validation
        self.num_workers = check_workers(num_workers)
        self.classes: list[str] = []  # names of the classes; empty without data.labels=true
        self.shards: Shards | None = None
        self.held_out: Shards | None = None

    def setup(self, stage: str) -> None:
        if self.shards is not None:
            return
        try:
            index = self.storage.index()
        except UserError:
            raise
        except Exception as error:  # files, networks and storage services raise different errors
            why = f"cannot be read as shards ({reason(error)}); create them with gan data pack"
            raise UserError(f"data.root={self.root}: {why}") from error
        if index.shape != (*self.size, self.channels):
            packed = "data.size=[{},{}] data.channels={}".format(*index.shape)
            raise UserError(f"data.root={self.root}: was packed with {packed}; use these values")
        if self.use_labels:
            if len(index.classes) < 2:
                raise UserError(f"data.labels=true: {self.root} was packed without classes; pack with --labels")
            self.classes = list(index.classes)
        held_out = held_out_shards(len(index.shards), self.validation)
        self.shards, self.held_out = (
            Shards(self.storage, index._replace(shards=dict(itertools.compress(index.shards.items(), part))))
            for part in (~held_out, held_out)
        )

    def class_names(self) -> list[str]:
        """Return the names of the classes; empty without data.labels=true."""
        self.setup("fit")
        return self.classes

    def class_counts(self) -> Tensor:
        """Return the number of images of each class, (classes,), in all shards.

        Held-out shards are included: only the ratios matter, and their images are a random sample.
        """
        assert self.shards is not None, "setup() comes first"
        return torch.tensor([self.shards.classes[name] for name in self.classes])

    def _batches(self, rank: int = 0, ranks: int = 1, start: int = 0) -> ShardBatches:
        assert self.shards is not None, "setup() comes first"
        return ShardBatches(self.shards, self.batch_size, self.seed, rank, ranks, start, self.crop_flip)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        return dataloader(self._batches(*position(self.trainer)), self.num_workers)

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n training or held-out images for evaluation, uint8 (n, C, H, W), or all if there are fewer."""
        return self._first(n, held_out)[0]

    def real_labels(self, n: int, held_out: bool = False) -> Tensor:
        """Return the labels (n,) of `reals`."""
        return self._first(n, held_out)[1]

    def _first(self, n: int, held_out: bool) -> tuple[Tensor, Tensor]:
        """Return the first n images of the stream, or those that are held out, which packing has shuffled."""
        assert self.shards is not None and self.held_out is not None, "setup() comes first"
        images = [torch.empty(0, self.channels, *self.size, dtype=torch.uint8)]
        labels = [torch.empty(0, dtype=torch.int64)]
        n = min(n, len(self.held_out if held_out else self.shards))
        batches = iter(self._batches())
        for shard in itertools.count():
            if sum(map(len, labels)) >= n:
                break
            if held_out:
                pixels, label = self.held_out.read(shard)
                pixels = pixels.permute(0, 3, 1, 2)
            else:
                pixels, label = next(batches).values()
            images.append(pixels)
            labels.append(label)
        first = torch.cat(images)[:n]
        return self.crop_flip(first, 0) if held_out and self.crop_flip and n else first, torch.cat(labels)[:n]

    def __len__(self) -> int:
        return 0 if self.shards is None else len(self.shards)
