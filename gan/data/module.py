"""The DataModule of images: uint8 batches from any source, in a fixed endless order."""

from __future__ import annotations

import hashlib
import itertools
import math
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

from gan.data.builtin import retro
from gan.data.decoding import cache
from gan.data.decoding.decode import FITS, Decoder
from gan.data.decoding.reader import MAX_PIXELS
from gan.data.order import EndlessBatches, RandomCropFlip, stored_size
from gan.data.split import select
from gan.utils import processes
from gan.utils.errors import UserError, at_least, choice, switch
from gan.utils.option_values import check_workers, pair, with_home
from gan.utils.output import first_few, print_line

NUM_BUILTIN_IMAGES = 4096
DEVICE_SHARE = 1 / 16  # largest fraction of a GPU's memory that the pixels may take with storage="auto"
MAX_LISTED = 50  # maximum number of unreadable files to print


class ImageDataModule(LightningDataModule):
    """Decodes images once and returns batches {"image": uint8 (N, C, H, W), "label": int64 (N,)}.

    Images have channels last in memory. `conf/data/folder.yaml` describes the options.

    Args:
        root: one or several folders or zip archives of images; None uses `source`, or the built-in images.
        source: another source of images, see `gan.data.decoding.cache`.
        num_images, classes: number and classes of built-in images.
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
        report_half: bool = False,
        storage: str = "disk",
        num_workers: int = 0,
        max_images: int | None = None,
        num_images: int = NUM_BUILTIN_IMAGES,
        classes: Sequence[str] = retro.CLASSES,
    ) -> None:
        super().__init__()
        self.roots = None if root is None else with_home([root] if isinstance(root, str) else list(root))
        self.source = source
        self.size = pair(size)
        self.channels = channels
        self.batch_size = at_least("data.batch_size", batch_size, 1)
        self.seed = seed
        self.label_option = with_home(labels)
        crop = choice("data.fit", fit, ("random_crop", *FITS)) in ("random_crop", "patches")
        self.decoder = Decoder(
            stored_size(self.size) if crop else self.size,
            channels,
            "crop" if fit == "random_crop" else fit,
            resample,
            background,
            frames,
            max_pixels,
            patches_per_image if fit == "patches" else 1,
        )
        self.shows_patches = fit == "patches"  # whose position in the file is unknown
        flip = switch("data.flip", flip)
        self.crop_flip = RandomCropFlip(self.size, flip, seed) if crop or flip else None
        self.split = split
        self.validation = validation
        self.split_seed = at_least("data.split_seed", split_seed, 0)
        self.report_half = switch("data.report_half", report_half)
        self.storage = choice("data.storage", storage, ("auto", "disk", "memory", "device"))
        self.num_workers = check_workers(num_workers)
        if self.num_workers and storage == "device":
            raise UserError(f"data.num_workers={num_workers} does not work with data.storage=device: use num_workers=0")
        self.max_images = None if max_images is None else at_least("data.max_images", max_images, 1)
        self.num_images = at_least("data.num_images", num_images, 1)
        self.builtin_classes = list(classes)
        self.pixels: Any = np.empty((0, *self.size, channels), np.uint8)  # (rows, H, W, C), or indexed like it
        self.rows = self.validation_rows = self.report_rows = np.empty(0, np.int64)  # rows of `pixels`
        self.digests = np.empty(0, "S32")  # of the file of each row of `pixels`
        self.labels = np.empty(0, np.int64)  # of each row
        self.classes: list[str] = []
        self.names: list[str] = []  # of all images, before the split
        self.fingerprint = ""

    def prepare_data(self) -> None:
        """Decode new images into the cache, in one process per machine."""
        self.setup("fit")

    def open_source(self) -> Any:
        """Return the source of images, after listing its files."""
        if self.source is None and self.roots is not None:
            from gan.data.sources.files import ImageFiles  # built-in images need no files

            self.source = ImageFiles(self.roots)
        if self.source is None:
            if self.decoder.fit == "patches":
                raise UserError("data.fit=patches needs files: built-in images are generated at the training size")
            self.source = retro.BuiltinImages(self.num_images, self.builtin_classes)
        return self.source

    def class_names(self) -> list[str]:
        return self.open_source().classes(self.label_option)[0]

    def class_counts(self) -> Tensor:
        """Return the number of training images of each class, (classes,)."""
        return torch.from_numpy(np.bincount(self.labels[self.rows], minlength=len(self.classes)))

    def setup(self, stage: str) -> None:
        if len(self.rows):
            return
        source = self.open_source()
        items = spread(len(source.keys), self.max_images)
        files = [source.names[item] for item in items]
        self.classes, labels = source.classes(self.label_option)
        images = cache.load_images(source, self.decoder, items)
        if images.errors:
            report_unreadable(source.where, files, images.errors)
        file = np.repeat(np.arange(len(items)), images.counts)  # the file of each image
        self.rows, self.pixels = images.rows, images.pixels
        self.labels, self.digests = (np.zeros(self.rows.max() + 1, kind) for kind in (np.int64, "S32"))
        self.labels[self.rows] = np.array(labels, np.int64)[items][file]
        self.digests[self.rows] = images.digests[file]
        self.names = [files[number] for number in file]
        if self.split is not None:
            self._hold_out(self._select_validation(self.names))
        if self.storage in ("memory", "device"):
            self._load_into_memory()
        counts = zip(files, images.counts.tolist(), strict=True)
        text = "\0".join(f"{name}\0{count}" for name, count in counts)
        self.fingerprint = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def _select_validation(self, names: list[str]) -> np.ndarray:
        """Return a mask of the rows to hold out, bool (rows,), for the names of all rows."""
        return self._select_fraction(names, self.validation)

    def _select_fraction(self, names: list[str], fraction: float) -> np.ndarray:
        """Return a mask, bool (rows,), of a fraction of the rows, with each group of `split` on one side."""
        images = (self.pixels[row] for row in self.rows)
        return select(str(self.split), names, images, fraction, self.split_seed)

    def _hold_out(self, chosen: np.ndarray) -> None:
        """Hold out rows, and with `report_half` keep every other file of these for the report, if there are two."""
        self.rows, self.validation_rows = self.rows[~chosen], self.rows[chosen]
        files, file = np.unique(self.digests[self.validation_rows], return_inverse=True)
        if self.report_half and len(files) > 1:
            report = file % 2 == 1
            self.validation_rows, self.report_rows = self.validation_rows[~report], self.validation_rows[report]

    def use_report_half(self) -> bool:
        """Make the held-out images those of the report, and return True, if there are any."""
        if len(self.report_rows):
            self.validation_rows = self.report_rows
        return len(self.report_rows) > 0

    def _load_into_memory(self) -> None:
        used = np.concatenate([self.rows, self.validation_rows, self.report_rows])
        ends = np.cumsum([len(self.rows), len(self.validation_rows)])
        self.pixels, self.labels, self.digests = self.pixels[used], self.labels[used], self.digests[used]
        self.rows, self.validation_rows, self.report_rows = np.split(np.arange(len(used)), ends)

    def train_dataloader(self) -> Iterable[dict[str, Tensor]]:
        if self.trainer is not None:
            self.to_device(self.trainer.strategy.root_device)
        return dataloader(self.stream(*position(self.trainer)), self.num_workers, self.storage == "device")

    def to_device(self, device: torch.device, share: float = DEVICE_SHARE) -> None:
        """Move the pixels to the device if storage="device", or if "auto" and they fit into a `share` of its memory."""
        size = (len(self.rows) + len(self.validation_rows)) * math.prod(self.pixels.shape[1:])  # bytes
        if self.storage == "auto" and not self.num_workers and size <= share * gpu_memory(device):
            self._load_into_memory()
            self.storage = "device"
        if self.storage == "device":
            self.pixels = torch.as_tensor(self.pixels).to(device)

    def stream(self, rank: int = 0, ranks: int = 1, start: int = 0) -> IterableDataset[dict[str, Tensor]]:
        """Return the batches of one rank from batch `start` on."""
        return self._batches(EndlessBatches(len(self), self.batch_size, self.seed, rank, ranks, start))

    def _batches(self, order: EndlessBatches) -> IterableDataset[dict[str, Tensor]]:
        return Batches(self.pixels, self.labels, self.rows, order, self.crop_flip)

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n training or held-out images for evaluation, uint8 (n, C, H, W), or all if there are fewer.

        The selection and its order depend on the contents of the files only.
        """
        return self._read_rows(self._to_evaluate(n, held_out))

    def files(self, n: int, held_out: bool = False, side: str = "") -> Tensor:
        """Return the number of the file of each image of `reals`, (n,). Patches and frames of one file are alike."""
        digests = self.digests[self._to_evaluate(n, held_out, side)]
        return torch.from_numpy(np.unique(digests, return_inverse=True)[1])

    def _read_rows(self, rows: np.ndarray) -> Tensor:
        images = torch.as_tensor(self.pixels[rows]).permute(0, 3, 1, 2).cpu()  # (n, C, H, W)
        return self.crop_flip(images, 0) if self.crop_flip and len(images) else images.contiguous()

    def real_labels(self, n: int, held_out: bool = False) -> Tensor:
        """Return the labels (n,) of `reals`."""
        return torch.from_numpy(self.labels[self._to_evaluate(n, held_out)])

    def _to_evaluate(self, n: int, held_out: bool, side: str = "") -> np.ndarray:
        """Return the rows of n images, in the order of the digests of their files; `side` is that of pairs.

        The first images of all files come before the second image of any file.
        """
        rows = self.validation_rows if held_out else self.of_side(side)
        digests = self.digests[rows]
        order = np.argsort(digests, kind="stable")
        _, starts, counts = np.unique(digests[order], return_index=True, return_counts=True)
        number = np.arange(len(order)) - np.repeat(starts, counts)  # index of each image in its file
        return rows[order[np.argsort(number, kind="stable")[:n]]]

    def of_side(self, side: str) -> np.ndarray:
        """Return the rows that training uses for a side of pairs."""
        return self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"images": len(self), "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if state_dict["fingerprint"] != self.fingerprint:
            counts = f"{int(state_dict['images']):,} images then, {len(self):,} now"
            line = f"data: the images differ from those of the checkpoint ({counts}); their order changes from here"
            print_line(line)


class Batches(IterableDataset[dict[str, Tensor]]):
    """Batches in the order of a sampler. Several workers take turns."""

    def __init__(
        self, pixels: Any, labels: np.ndarray, rows: np.ndarray, order: EndlessBatches, crop_flip: RandomCropFlip | None
    ) -> None:
        self.pixels = pixels
        self.device = pixels.device if isinstance(pixels, Tensor) else torch.device("cpu")
        self.labels = torch.from_numpy(labels).to(self.device)
        self.rows = rows
        self.order = order
        self.crop_flip = crop_flip

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for place, indices in itertools.islice(self.order, first, None, step):
            rows = self.rows[indices]
            on_device = self.to_device(torch.from_numpy(rows))
            pixels = self.pixels[on_device if isinstance(self.pixels, Tensor) else rows]
            images = torch.as_tensor(pixels).permute(0, 3, 1, 2)  # (N, C, H, W)
            if self.crop_flip:
                images = self.crop_flip(images, place)
            yield {"image": images, "label": self.labels[on_device]}

    def to_device(self, rows: Tensor) -> Tensor:
        """Copy indices to the device of the pixels, from pinned memory, so that the host does not wait for the copy."""
        return (rows.pin_memory() if self.device.type == "cuda" else rows).to(self.device, non_blocking=True)


def gpu_memory(device: torch.device) -> int:
    """Return the memory of a CUDA device in bytes; 0 for other devices."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0


def position(trainer: Trainer | None) -> tuple[int, int, int]:
    return (0, 1, 0) if trainer is None else (trainer.global_rank, trainer.world_size, trainer.global_step)


def dataloader(
    batches: IterableDataset[dict[str, Tensor]], num_workers: int, on_device: bool = False
) -> Iterable[dict[str, Tensor]]:
    """Return a DataLoader that passes on the batches, with workers, and with pinned memory if there is a GPU.

    Return the batches themselves if a DataLoader would only add overhead.
    """
    if not num_workers and (on_device or not torch.cuda.is_available()):
        return batches
    warnings.filterwarnings("ignore", "This DataLoader will create")  # the user asked for more workers than cores
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore_signals,
        persistent_workers=num_workers > 0,
    )


def ignore_signals(worker: int) -> None:
    """Ignore the signals that the whole process group receives. The main process ends the workers."""
    for number in (signal.SIGINT, *processes.TERMINATION):
        signal.signal(number, signal.SIG_IGN)


@rank_zero_only
def report_unreadable(where: str, names: Sequence[str], errors: dict[int, str]) -> None:
    """Print which images cannot be read and are skipped; raise UserError if none can be read."""
    lines = [f"{names[item]!r}: {reason}" for item, reason in errors.items()]
    if len(errors) == len(names):
        raise UserError(f"{where}: none of its {len(errors)} images can be read; {lines[0]}")
    print(f"{len(errors)} of {len(names)} images in {where} cannot be read and are skipped:")
    print("  " + first_few(lines, MAX_LISTED, "\n  "), flush=True)


def spread(count: int, most: int | None) -> list[int]:
    """Return at most `most` of `count` items: a random one, but always the same, from each of as many equal parts."""
    if most is None or most >= count:
        return list(range(count))
    ends = [place * count // most for place in range(most + 1)]
    return np.random.default_rng(0).integers(ends[:-1], ends[1:]).tolist()
