"""The DataModule: a folder of images, or the built-in retro images, as uint8 batches in a fixed endless order."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gan.data import cache, pen, retro
from gan.data import decode as decoder
from gan.data.decode import checked, decode
from gan.data.folder import classes, scan
from gan.data.sampler import EndlessBatches
from gan.data.size import pair
from gan.errors import UserError, at_least

RETRO_IMAGES = 4096
DRAWING_SEED = 0  # the set is the same whatever a run's seed is, so that runs compare


class Images(LightningDataModule):
    """Images in memory-mapped arrays; batches are {"image": uint8 (N, C, H, W), "label": int64 (N,)}.

    Args:
        root: folder of images, searched through; None draws the built-in retro images.
        size: side, or (height, width), in pixels.
        channels: 1 grey, 3 RGB, 4 premultiplied RGBA.
        batch_size: of all ranks together.
        labels: take the sub-folders of `root` for classes; the built-in images have their four kinds.
        fit: "crop" to cover, "pad" to fit inside, "stretch".
        resample: "lanczos", "box" or "nearest".
        background: colour under transparent pixels where channels is 1 or 3.
        workers: processes that gather batches; 0 is best while the set is in memory.
        images: how many built-in images to draw.

    Raises:
        UserError: no such folder, no image in it, or a size, count or name out of range.
    """

    def __init__(
        self,
        root: str | None = None,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        labels: bool = False,
        fit: str = "crop",
        resample: str = "lanczos",
        background: str = "white",
        workers: int = 0,
        images: int = RETRO_IMAGES,
    ) -> None:
        super().__init__()
        self.root = root
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.with_labels = labels
        self.options = {"fit": fit, "resample": resample, "background": background}
        checked(self.size, channels, **self.options)
        self.workers = at_least("data.workers", workers, 0)
        self.count = at_least("data.images", images, 1)
        self.images = np.empty((0, channels, *self.size), np.uint8)  # (N, C, H, W)
        self.labels = np.empty(0, np.int64)  # (N,)
        self.rows = np.empty(0, np.int64)  # of `images`, those that could be read
        self.classes: list[str] = []

    def prepare_data(self) -> None:
        """Fill the cache, on one process a machine."""
        self.setup("fit")

    def setup(self, stage: str) -> None:
        if len(self.images):
            return
        if self.root is None:
            self._setup_retro()
        else:
            self._setup_folder(self.root)

    def _setup_retro(self) -> None:
        height, width = self.size
        work = functools.partial(draw_retro, height, width, self.channels)
        key = ["retro", version(retro, pen), self.count, height, width, self.channels]
        self.images, _ = cache.images(key, work, self.count, (self.channels, height, width), "drawing retro images")
        self.rows = np.arange(self.count)
        self.labels = np.arange(self.count) % len(retro.KINDS)
        self.classes = list(retro.KINDS)

    def _setup_folder(self, root: str) -> None:
        files = scan(root)
        names, labels = classes(files) if self.with_labels else ([], [0] * len(files))
        stats = [os.stat(os.path.join(root, file)) for file in files]
        stamps = [[file, stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)]
        work = functools.partial(decode_file, root, files, self.size, self.channels, self.options)
        key = ["folder", version(decoder), os.path.abspath(root), list(self.size), self.channels, self.options, stamps]
        images, errors = cache.images(key, work, len(files), (self.channels, *self.size), f"decoding {root}")
        self.images, self.labels, self.classes = images, np.array(labels, np.int64), names
        self.rows = np.array([index for index in range(len(files)) if index not in errors], np.int64)
        if errors:
            self._skip(root, files, errors)

    def _skip(self, root: str, files: list[str], errors: dict[int, str]) -> None:
        """Leave out what cannot be read, and say so by name."""
        if len(errors) == len(files):
            index, reason = next(iter(errors.items()))
            raise UserError(
                f"data.root={root}: none of its {len(files)} images can be read; {files[index]!r}: {reason}"
            )
        report([f"{files[index]!r}: {reason}" for index, reason in errors.items()], len(files), root)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        trainer = self.trainer
        if trainer is None:
            rank, ranks, start = 0, 1, 0
        else:
            rank, ranks, start = trainer.global_rank, trainer.world_size, trainer.global_step
        order = EndlessBatches(len(self), self.batch_size, self.seed, rank, ranks, start)
        batches = Batches(self.images, self.labels, self.rows, order)
        if not self.workers and not torch.cuda.is_available():
            return batches  # a loader that neither pins nor has workers costs time and adds nothing
        return DataLoader(
            batches,
            batch_size=None,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=ignore_signals,
            persistent_workers=self.workers > 0,
        )

    def preview(self, n: int) -> Tensor:
        """The first n images of the stream, uint8 (n, C, H, W): what reals.png shows and metrics compare with."""
        first = next(iter(EndlessBatches(len(self), min(n, len(self)), self.seed)))
        return torch.from_numpy(self.images[self.rows[first]])

    def __len__(self) -> int:
        """Images that could be read."""
        return len(self.rows)


class Batches(IterableDataset[dict[str, Tensor]]):
    """Batches gathered in the order of a sampler; several workers take turns."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray, order: EndlessBatches) -> None:
        self.images = images
        self.labels = labels
        self.rows = rows
        self.order = order

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for indices in itertools.islice(self.order, first, None, step):
            rows = self.rows[indices]
            yield {"image": torch.from_numpy(self.images[rows]), "label": torch.from_numpy(self.labels[rows])}


def ignore_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach the whole process group; the main process decides when to stop, and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@rank_zero_only
def report(unreadable: list[str], total: int, root: str) -> None:
    print(f"{len(unreadable)} of {total} images in {root} cannot be read and are left out:")
    print("".join(f"  {line}\n" for line in unreadable), end="", flush=True)


def draw_retro(height: int, width: int, channels: int, index: int) -> np.ndarray:
    """One built-in image, uint8 (C, H, W); luma for one channel, opaque for four."""
    image = retro.draw(DRAWING_SEED, index, height, width)  # (H, W, 3)
    if channels == 1:
        image = np.round(image @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)
    elif channels == 4:
        image = np.concatenate([image, np.full((height, width, 1), 255, np.uint8)], 2)
    return image.transpose(2, 0, 1)


def decode_file(
    root: str, files: list[str], size: tuple[int, int], channels: int, options: dict[str, str], index: int
) -> np.ndarray:
    return decode(os.path.join(root, files[index]), size, channels, **options)


@functools.cache
def version(*modules: ModuleType) -> str:
    """Hash of the code that makes pixels: what older code has made is not reused."""
    return hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules)).hexdigest()
