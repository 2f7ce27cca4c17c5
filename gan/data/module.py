"""The DataModule: pictures of any source as uint8 batches in a fixed endless order."""

from __future__ import annotations

import hashlib
import itertools
import signal
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gan.common.errors import UserError, at_least
from gan.common.size import pair
from gan.data import split
from gan.data.builtin import retro
from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import MAX_PIXELS
from gan.data.random_crop_flip import RandomCropFlip, stored_size
from gan.data.sampler import EndlessBatches
from gan.data.sources.builtin import BuiltinImages
from gan.data.sources.files import ImageFiles

NUM_BUILTIN_IMAGES = 4096
STORAGES = ("disk", "memory", "device")
NAMED = 50  # unreadable files that are reported one by one


class ImageDataModule(LightningDataModule):
    """Images decoded once; batches are {"image": uint8 (N, C, H, W), "label": int64 (N,)}, channels last in memory.

    Args:
        root: folder or zip archive of images, searched through, or several; None draws the built-in retro images.
        source: pictures from elsewhere, in place of root: see `cache`.
        size: side, or (height, width), in pixels.
        channels: 1 gray, 3 RGB, 4 premultiplied RGBA.
        batch_size: of all ranks together.
        labels: take the sub-folders of `root` for classes, or a CSV or JSON file of files and labels.
        fit: "crop" to cover, "random_crop" for another window each time, "pad" to fit inside, "stretch"; "patches" for
            parts of files as they are, so many as `windows` of each, and another window of these each time.
        resample, background, frames, max_pixels: as in `Decoder`.
        flip: turn every second image left to right, another half each time.
        split: "file", "folder", "prefix" or "content": what must not be cut in two when a `validation` share of the
            images is left out of training; None trains on all. Another `split_seed` leaves out others.
        keep: pixels stay on the "disk" as a memory map, in "memory", or on the "device" that trains.
        workers: processes that gather batches; 0 is best while the set fits in memory.
        num_images: how many built-in images to draw.
        classes: which of them, some of `retro.KINDS`.

    Raises:
        UserError: no such folder, no image in it, or a size, count or name out of range.
    """

    def __init__(
        self,
        root: str | Sequence[str] | None = None,
        source: Any = None,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        labels: bool | str = False,
        fit: str = "crop",
        patches_per_image: int = 16,
        resample: str = "auto",
        background: str = "white",
        frames: str = "first",
        max_pixels: int = MAX_PIXELS,
        flip: bool = False,
        split: str | None = None,
        validation: float = 0.1,
        split_seed: int = 0,
        storage: str = "disk",
        num_workers: int = 0,
        num_images: int = NUM_BUILTIN_IMAGES,
        classes: Sequence[str] = retro.CLASSES,
    ) -> None:
        super().__init__()
        self.roots = [root] if isinstance(root, str) else None if root is None else list(root)
        self.source = source
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.label_option = labels
        window = fit in ("random_crop", "patches")
        self.decoder = Decoder(
            stored_size(self.size) if window else self.size,
            channels,
            "crop" if fit == "random_crop" else fit,
            resample,
            background,
            frames,
            max_pixels,
            patches_per_image if fit == "patches" else 1,
        )
        self.crop_flip = RandomCropFlip(self.size, flip, seed) if window or flip else None
        self.split = split
        self.validation = validation
        self.split_seed = at_least("data.split_seed", split_seed, 0)
        if storage not in STORAGES:
            raise UserError(f"data.storage={storage}: not known; use one of {', '.join(STORAGES)}")
        self.storage = storage
        self.num_workers = at_least("data.num_workers", num_workers, 0)
        if self.num_workers and storage == "device":
            raise UserError(f"data.num_workers={num_workers}: cannot gather from data.storage=device; take 0 workers")
        self.count = at_least("data.num_images", num_images, 1)
        self.builtin_classes = list(classes)
        self.pixels: Any = np.empty((0, *self.size, channels), np.uint8)  # (rows, H, W, C), or what is indexed like it
        self.rows = np.empty(0, np.int64)  # of `pixels`, those to train on
        self.validation_rows = np.empty(0, np.int64)
        self.digests = self.validation_digests = np.empty(0, "S32")  # of the contents that those rows come from
        self.labels = np.empty(0, np.int64)  # (rows,)
        self.classes: list[str] = []
        self.names: list[str] = []  # of the pictures, before some are held out
        self.fingerprint = ""

    def prepare_data(self) -> None:
        """Fill the cache, on one process a machine."""
        self.setup("fit")

    def open_source(self) -> Any:
        """The source of pictures, with its list of what there is."""
        if self.roots is None and self.source is None and self.decoder.fit == "patches":
            raise UserError("data.fit=patches: of files; built-in images are drawn at the size asked for")
        if self.source is None:
            self.source = (
                BuiltinImages(self.count, self.builtin_classes) if self.roots is None else ImageFiles(self.roots)
            )
        return self.source

    def class_names(self) -> list[str]:
        """What `classes` will be, without a picture decoded."""
        names: list[str] = self.open_source().classes(self.label_option)[0]
        return names

    def class_counts(self) -> Tensor:
        """(classes,): images to train on of each class."""
        return torch.from_numpy(np.bincount(self.labels[self.rows], minlength=len(self.classes)))

    def setup(self, stage: str) -> None:
        if len(self.rows):
            return
        source = self.open_source()
        self.classes, labels = source.classes(self.label_option)
        found = cache.decoded(source, self.decoder)
        if found.errors:
            report(source, found.errors)
        if found.pixel_art:
            say(
                f"data.resample=auto: nearest for {found.pixel_art} of {found.counts.sum()} images, which are pixel art"
            )
        items = np.repeat(np.arange(len(found.counts)), found.counts)  # the item of each picture
        self.rows = found.rows()
        self.pixels = found.pixels
        self.labels = np.zeros(self.rows.max() + 1, np.int64)
        self.labels[self.rows] = np.array(labels, np.int64)[items]
        self.digests = found.digests[items]
        self.names = [source.names[item] for item in items]
        if self.split is not None:
            chosen = self._held_out(self.names)
            self.rows, self.validation_rows = self.rows[~chosen], self.rows[chosen]
            self.digests, self.validation_digests = self.digests[~chosen], self.digests[chosen]
        if self.storage != "disk":
            self._take_into_memory()
        self.fingerprint = fingerprint(source.names, found.counts)

    def _held_out(self, names: list[str]) -> np.ndarray:
        """bool (rows,): which to keep for validation; `names` are those of the rows."""
        return self._share(names, self.validation)

    def _share(self, names: list[str], fraction: float) -> np.ndarray:
        """bool (rows,): a fraction of the rows, with what `split` says belongs together on one side."""
        pictures = (self.pixels[self.rows[at : at + 1]] for at in range(len(names)))
        return split.validation(str(self.split), names, pictures, fraction, self.split_seed)

    def _take_into_memory(self) -> None:
        used = np.concatenate([self.rows, self.validation_rows])
        self.pixels, self.labels = self.pixels[used], self.labels[used]
        self.rows, self.validation_rows = np.split(np.arange(len(used)), [len(self.rows)])

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        if self.trainer is not None:
            self.to_device(self.trainer.strategy.root_device)
        return training_batches(self.stream(*position(self.trainer)), self.num_workers, self.storage)

    def to_device(self, device: torch.device) -> None:
        """Move the pixels there, with keep="device"."""
        if self.storage == "device":
            self.pixels = torch.as_tensor(self.pixels).to(device)

    def stream(self, rank: int = 0, ranks: int = 1, start: int = 0) -> IterableDataset[dict[str, Tensor]]:
        """One rank's batches from batch `start` on."""
        return self._batches(EndlessBatches(len(self), self.batch_size, self.seed, rank, ranks, start))

    def _batches(self, order: EndlessBatches) -> IterableDataset[dict[str, Tensor]]:
        return Batches(self.pixels, self.labels, self.rows, order, self.crop_flip)

    def preview(self, n: int) -> Tensor:
        """The first n images of the stream, uint8 (n, C, H, W), fewer where there are not so many."""
        order = EndlessBatches(len(self), min(n, len(self)), self.seed)
        return next(iter(self._batches(order)))["image"].cpu()

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """n images to measure with, uint8 (n, C, H, W), of those trained on or of those for validation.

        Fewer where there are not so many. Which they are, and their order, depends on the contents of the files alone:
        neither on the seed nor on names.
        """
        return self._measured(self._chosen(n, held_out))

    def _measured(self, rows: np.ndarray) -> Tensor:
        images = torch.as_tensor(self.pixels[rows]).permute(0, 3, 1, 2).cpu()  # (n, C, H, W)
        return self.crop_flip(images, 0) if self.crop_flip and len(images) else images.contiguous()

    def real_labels(self, n: int, held_out: bool = False) -> Tensor:
        """The classes (n,) of `reals`."""
        return torch.from_numpy(self.labels[self._chosen(n, held_out)])

    def _chosen(self, n: int, held_out: bool) -> np.ndarray:
        rows, digests = (self.validation_rows, self.validation_digests) if held_out else (self.rows, self.digests)
        return first(rows, digests, n)

    @property
    def flips(self) -> bool:
        """Whether images are mirrored at random."""
        return self.crop_flip is not None and self.crop_flip.flip

    def __len__(self) -> int:
        """Images to train on."""
        return len(self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"images": len(self), "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if state_dict["fingerprint"] != self.fingerprint:
            then = f"{state_dict['images']:,} images then, {len(self):,} now"
            say(f"data: the set is not that of the checkpoint ({then}): from here on the order is another")


class Batches(IterableDataset[dict[str, Tensor]]):
    """Batches gathered in the order of a sampler; several workers take turns."""

    def __init__(
        self, pixels: Any, labels: np.ndarray, rows: np.ndarray, order: EndlessBatches, crop_flip: RandomCropFlip | None
    ) -> None:
        self.pixels = pixels
        self.labels = torch.from_numpy(labels)
        self.rows = rows
        self.order = order
        self.crop_flip = crop_flip

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for place, indices in itertools.islice(self.order, first, None, step):
            rows = self.rows[indices]
            images = torch.as_tensor(self.pixels[rows]).permute(0, 3, 1, 2)  # (N, C, H, W)
            if self.crop_flip:
                images = self.crop_flip(images, place)
            yield {"image": images, "label": self.labels[rows]}


def position(trainer: Trainer | None) -> tuple[int, int, int]:
    """Rank, number of ranks, and the batch that comes next."""
    return (0, 1, 0) if trainer is None else (trainer.global_rank, trainer.world_size, trainer.global_step)


def training_batches(
    batches: IterableDataset[dict[str, Tensor]], num_workers: int, storage: str
) -> Iterable[dict[str, Tensor]]:
    """Batches as the trainer takes them: itself, where a loader would neither pin nor have workers, but cost time."""
    if not num_workers and (storage == "device" or not torch.cuda.is_available()):
        return batches
    return dataloader(batches, num_workers)


def dataloader(batches: IterableDataset[dict[str, Tensor]], num_workers: int) -> DataLoader[dict[str, Tensor]]:
    """Batches that are whole already, from processes and in pinned memory where that helps."""
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: a user asked for them
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore_signals,
        persistent_workers=num_workers > 0,
    )


def ignore_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach the whole process group; the main process decides when to stop, and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def fingerprint(names: Sequence[str], count: np.ndarray) -> str:
    """Tells one list of images from another."""
    text = "\0".join(f"{name}\0{number}" for name, number in zip(names, count.tolist(), strict=True))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@rank_zero_only
def report(source: Any, errors: dict[int, str]) -> None:
    """Name what cannot be read and is left out; UserError where that is all."""
    if len(errors) == len(source.names):
        item, reason = next(iter(errors.items()))
        raise UserError(
            f"{source.where}: none of its {len(errors)} images can be read; {source.names[item]!r}: {reason}"
        )
    print(f"{len(errors)} of {len(source.names)} images in {source.where} cannot be read and are left out:")
    lines = [f"  {source.names[item]!r}: {reason}" for item, reason in itertools.islice(errors.items(), NAMED)]
    more = [f"  and {len(errors) - NAMED} more; gan data check lists them"] if len(errors) > NAMED else []
    print("\n".join(lines + more), flush=True)


@rank_zero_only
def say(line: str) -> None:
    print(line, flush=True)


def first(rows: np.ndarray, digests: np.ndarray, n: int) -> np.ndarray:
    """n of the rows in the order of their digests; further pictures of one file after the first of all others."""
    order = np.argsort(digests, kind="stable")
    _, starts, counts = np.unique(digests[order], return_index=True, return_counts=True)
    further = np.arange(len(order)) - np.repeat(starts, counts)  # of each its place among those of its file
    return rows[order[np.argsort(further, kind="stable")[:n]]]
