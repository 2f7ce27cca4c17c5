"""Datasets that torchvision downloads, as sources of images: data=cifar10 and data=fashion_mnist."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.common.errors import UserError, to_line
from gan.common.files import replace
from gan.data.decoding import cache_index
from gan.data.decoding.decode import DecodedImage, Decoder

LARGEST = 1 << 30  # maximum size of an unpacked dataset in bytes; CIFAR-10 has 154 million
DATASETS = {"cifar10": "CIFAR10", "fashion_mnist": "FashionMNIST"}


class TorchvisionDataset:
    """The training images of a dataset with ten classes.

    Args:
        name: one of DATASETS.

    Raises:
        UserError: the dataset is not on this machine and cannot be downloaded.
    """

    trusted = True  # arrays of pixels need no decoder

    def __init__(self, name: str) -> None:
        if name not in DATASETS:
            raise UserError(f"data.source.name={name} is not known: use one of {', '.join(DATASETS)}")
        folder = cache_index.folder() / "downloads"
        self.where = f"data={name}"
        self.title = f"resizing {name}"
        self.identity = ["downloaded", name]
        self.path = folder / f"{name}_train.npz"
        if not self.path.exists():
            _save(download(name, folder), self.path)
        self._classes, self._labels = self._table("classes", 1, "U").tolist(), self._table("labels", 1, "i").tolist()
        if not self._labels or not 0 <= min(self._labels) <= max(self._labels) < len(self._classes):
            raise self._damaged("labels out of range")
        self.keys = self.names = [str(index) for index in range(len(self._labels))]
        self.stamps = [0] * len(self.keys)
        self._images: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_images": None}  # each process reads them from disk

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self._classes, self._labels

    def content(self, index: int) -> bytes:
        if self._images is None:
            images = self._table("images", None, "u")
            if len(images) != len(self._labels) or images.ndim not in (3, 4) or images.dtype != np.uint8:
                raise self._damaged("images do not match labels")
            self._images = images
        return self._images[index].tobytes()

    def _table(self, name: str, axes: int | None, kind: str) -> np.ndarray:
        """Return one array of the file, read without pickle; raise UserError if it is not valid."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST:
                    raise ValueError(f"more than {LARGEST:,} bytes")
            with np.load(self.path, allow_pickle=False) as table:
                found: np.ndarray = table[name]
        except Exception as error:  # damaged archives raise nearly anything
            raise self._damaged(str(error)) from error
        if found.dtype.kind != kind or axes not in (None, found.ndim):
            raise self._damaged(f"unexpected type or shape of {name}")
        return found

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self.path}: damaged ({to_line(why)}); remove the file, so that it is created again")

    def count(self, data: bytes, decoder: Decoder) -> int:
        return 1

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[DecodedImage]:
        assert self._images is not None  # content has been called
        pixels = np.frombuffer(data, np.uint8).reshape(self._images.shape[1:])
        yield decoder.fit_image(Image.fromarray(pixels).convert("RGB"))


def download(name: str, folder: Path) -> Any:
    """Return the torchvision dataset; download it into the folder if it is missing."""
    from torchvision import datasets

    try:
        return getattr(datasets, DATASETS[name])(folder, train=True, download=True)
    except Exception as error:  # no network, a damaged or hostile file
        raise UserError(
            f"data={name}: cannot be downloaded to {folder} ({to_line(error)}); try again with a network, "
            "or use data=retro or data=folder"
        ) from error


def _save(dataset: Any, path: Path) -> None:
    """Write images and labels as arrays, atomically."""
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    try:
        np.savez(
            temporary,
            images=np.asarray(dataset.data, np.uint8),
            labels=np.asarray(dataset.targets, np.int64),
            classes=np.array(dataset.classes),
        )
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
