"""Sets larger than a disk: shards of pixels, read in a fixed endless order from a folder or a URL (litdata)."""

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
from gan.common.size import pair
from gan.data.module import loader, position
from gan.data.random_crop_flip import Variation
from gan.data.sampler import share_of
from gan.data.shards.shard_index import NotOurs, check, check_first, check_shard, refused

LANES = 32  # shards in memory at a time, of all ranks together; a batch is drawn from all of them
MOST_CLASSES = 100_000
SHARDS_A_LANE = 4  # at least, or images of lanes with fewer shards would be seen more often than others


class Lane:
    """The endless order of a part of the shards: in each epoch they are shuffled, and the images within each."""

    def __init__(self, shards: np.ndarray, sizes: np.ndarray, key: tuple[int, ...]) -> None:
        self.shards = shards
        self.sizes = sizes[shards]
        self.key = key
        self.length = int(self.sizes.sum())
        self.epoch, self.order, self.ends = -1, np.empty(0, np.int64), np.empty(0, np.int64)  # of the last call
        self.turn, self.inside = -1, np.empty(0, np.int64)

    def at(self, place: int) -> tuple[int, int]:
        """(shard, index in it) of image `place` of the lane; a function of (key, place)."""
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


def lanes(sizes: Sequence[int], batch_size: int, seed: int) -> list[Lane]:
    """Deal shards, in a random order, to as many lanes as divide the batch, up to LANES."""
    count = max(n for n in range(1, min(LANES, batch_size) + 1) if batch_size % n == 0 and (
        n == 1 or n * SHARDS_A_LANE <= len(sizes)))  # fmt: skip
    dealt = np.random.default_rng((seed, 2)).permutation(len(sizes))
    return [Lane(dealt[lane::count], np.array(sizes), (seed, 3, lane)) for lane in range(count)]


class Shards(IterableDataset[dict[str, Tensor]]):
    """One rank's share of each batch of a stream; position p of a batch always comes from the same lane.

    So a rank reads the shards of its lanes alone, and the number of ranks or workers moves no image.
    """

    def __init__(
        self,
        table: Any,
        batch_size: int,
        seed: int,
        rank: int,
        ranks: int,
        start: int,
        variation: Variation | None,
        shape: tuple[int, ...],
        classes: int,
        folder: Path | None = None,
    ) -> None:
        self.table = table
        self.shape = shape  # (H, W, C)
        self.classes = classes
        self.folder = folder  # None where shards come from elsewhere
        self.batch_size = batch_size
        self.share = share_of(batch_size, ranks)
        self.rank = rank
        self.start = start
        self.variation = variation
        sizes = [end - begin for begin, end in table.region_of_interest]
        self.first = np.cumsum([0, *sizes])  # image of each shard
        self.lanes = lanes(sizes, batch_size, seed)
        self.held: dict[int, tuple[int, Tensor, Tensor]] = {}  # by lane: the shard in memory

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        each = self.batch_size // len(self.lanes)  # positions of a lane
        for batch in itertools.count(self.start + first, step):
            images, labels = [], []
            for place in range(self.rank * self.share, (self.rank + 1) * self.share):
                lane, turn = divmod(place, each)
                shard, index = self.lanes[lane].at(batch * each + turn)
                image, label = self.read(lane, shard)
                images.append(image[index])
                labels.append(label[index])
            stacked = torch.stack(images).permute(0, 3, 1, 2)  # (N, C, H, W)
            if self.variation:
                stacked = self.variation(stacked, batch * self.batch_size + self.rank * self.share)
            yield {"image": stacked, "label": torch.stack(labels)}

    def read(self, lane: int, shard: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (n, H, W, C) and labels (n,) of a shard, which the lane keeps until it takes another."""
        if lane not in self.held or self.held[lane][0] != shard:
            places = range(int(self.first[shard]), int(self.first[shard + 1]))
            name = self.table.subsampled_files[shard]
            try:
                if self.folder:
                    check_shard(self.folder / name, len(places), int(np.prod(self.shape)))
                rows = [self.table[place] for place in places]
                if any(row["image"].dtype != np.uint8 or row["image"].shape != self.shape for row in rows):
                    raise NotOurs("it holds images of another kind")
                if any(not 0 <= row["label"] < max(self.classes, 1) for row in rows):
                    raise NotOurs("it holds labels that are no classes")
            except Exception as error:  # what a missing file, a network or a storage service raises is its own
                raise UserError(f"data.root: shard {name} cannot be read ({error}); go on with resume=") from error
            images = torch.from_numpy(np.stack([row["image"] for row in rows]))
            self.held[lane] = (shard, images, torch.tensor([row["label"] for row in rows]))
        return self.held[lane][1], self.held[lane][2]


class Stream(LightningDataModule):
    """Batches of shards that `gan data pack` has written; see `Images` for what a batch is.

    Args:
        root: folder or URL of the shards.
        size, channels: those that the shards were packed with.
        flip: turn every second image left to right.
        disk: how much of a URL's shards stay on this machine's disk, as in 100GB.
        workers: processes that read; 1 reads ahead while the model trains.

    Raises:
        UserError: litdata isn't installed, there are no shards, or they hold another size.
    """

    def __init__(
        self,
        root: str,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        flip: bool = False,
        disk: str = "100GB",
        num_workers: int = 1,
    ) -> None:
        super().__init__()
        self.root = root
        self.folder = None if "://" in root else Path(root)
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.variation = Variation(self.size, True, seed) if flip else None
        self.disk = disk
        self.num_workers = at_least("data.num_workers", num_workers, 0)
        self.table: Any = None
        self.classes: list[str] = []

    def setup(self, stage: str) -> None:
        if self.table is not None:
            return
        try:
            from litdata import StreamingDataset
        except ImportError as error:
            raise UserError("data=stream needs the litdata library: pip install -e '.[stream]'") from error
        if self.folder and not os.path.lexists(self.folder / "index.json"):
            raise UserError(f"data.root={self.root}: no shards there; write some with gan data pack")
        try:
            if self.folder:
                check(self.folder / "index.json")
            self.table = StreamingDataset(self.root, shuffle=False, max_cache_size=self.disk)
            check(Path(self.table.input_dir.path) / "index.json")  # which litdata may have fetched
            if self.folder:
                begin, end = self.table.region_of_interest[0]
                check_first(self.folder / self.table.subsampled_files[0], end - begin)
            first = self.table[0]
            shape = first["image"].shape
            if len(shape) != 3 or not 0 <= first["classes"] <= MOST_CLASSES:
                raise NotOurs(f"an image of shape {shape} and {first['classes']} classes")
            self.classes = [str(label) for label in range(first["classes"])]
        except NotOurs as error:
            raise refused(self.root, error) from error
        except Exception as error:  # what a missing file, a network or a storage service raises is its own
            raise UserError(f"data.root={self.root}: cannot be read ({to_line(error)})") from error
        height, width, channels = shape
        if (height, width, channels) != (*self.size, self.channels):
            sizes = f"data.size=[{height},{width}] data.channels={channels}"
            raise UserError(f"data.root={self.root}: was packed for {sizes}; give these")

    def _batches(self, rank: int, ranks: int, start: int) -> Shards:
        shape = (*self.size, self.channels)
        order = self.batch_size, self.seed, rank, ranks, start, self.variation
        return Shards(self.table, *order, shape, len(self.classes), self.folder)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        return loader(self._batches(*position(self.trainer)), self.num_workers)

    def preview(self, n: int) -> Tensor:
        """The first n images of the stream, uint8 (n, C, H, W)."""
        n = min(n, len(self))
        if n == 0:
            return torch.empty(0, self.channels, *self.size, dtype=torch.uint8)
        needed = itertools.islice(self._batches(0, 1, 0), -(-n // self.batch_size))
        return torch.cat([batch["image"] for batch in needed])[:n]

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """As `Images.reals`; there are none for validation."""
        return self.preview(0 if held_out else n)

    @property
    def flips(self) -> bool:
        """Whether images are mirrored at random."""
        return self.variation is not None

    def __len__(self) -> int:
        """Images in all shards."""
        return len(self.table)
