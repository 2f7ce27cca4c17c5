"""Datasets that torchvision downloads, as sources of images: data=cifar10 and data=fashion_mnist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.data.decoding import cache
from gan.data.decoding.decode import DecodedImage, Decoder
from gan.utils.errors import UserError, choice, to_line
from gan.utils.files import replace

DATASETS = {"cifar10": "CIFAR10", "fashion_mnist": "FashionMNIST"}


class TorchvisionDataset:
    """The training images of a dataset with ten classes.

    Args:
        name: one of DATASETS.
    """

    trusted = True  # arrays of pixels need no decoder

    def __init__(self, name: str) -> None:
        choice("data.source.name", name, DATASETS)
        folder = cache.folder() / "downloads"
        self.where = f"data={name}"
        self.title = f"resizing {name}"
        self.identity = ["downloaded", name]
        self.path = folder / f"{name}_train.npz"
        if not self.path.exists():
            _save(download(name, folder), self.path)
        try:
            with np.load(self.path) as table:  # which refuses pickles
                self._classes: list[str] = table["classes"].tolist()
                self._labels: list[int] = table["labels"].tolist()
        except Exception as error:  # damaged archives raise nearly anything
            raise UserError(f"{self.path}: damaged ({to_line(error)}); remove it, to create it again") from error
        self.keys = self.names = [str(index) for index in range(len(self._labels))]
        self.stamps = [0] * len(self.keys)
        self._images: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_images": None}  # each process reads them from disk

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self._classes, self._labels

    def content(self, index: int) -> bytes:
        if self._images is None:
            with np.load(self.path) as table:
                self._images = table["images"]
        return self._images[index].tobytes()

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
    """Write images and labels as arrays, atomically. Processes read them without torch, which takes long to import."""
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    try:
        labels = np.asarray(dataset.targets, np.int64)
        np.savez(temporary, images=np.asarray(dataset.data), labels=labels, classes=np.array(dataset.classes))
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
