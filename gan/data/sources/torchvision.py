"""Data sets that torchvision downloads, as sources of pictures: data=cifar10 and data=fashion_mnist."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.common.errors import UserError, to_line
from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder, Fitted

LARGEST = 1 << 30  # bytes of a set, unpacked: CIFAR-10 has 154 million
SETS = {"cifar10": "CIFAR10", "fashion_mnist": "FashionMNIST"}


class Downloaded:
    """The training part of a set: 50,000 or 60,000 pictures with the set's own ten classes.

    name: one of SETS.

    Raises UserError where the set is not on this machine and can't be downloaded.
    """

    trusted = True  # arrays of pixels, which no decoder reads

    def __init__(self, name: str) -> None:
        if name not in SETS:
            raise UserError(f"data.source.name={name}: not known; use one of {', '.join(SETS)}")
        folder = cache.folder() / "downloads"
        self.where = f"data={name}"
        self.title = f"resizing {name}"
        self.identity = ["downloaded", name]
        self.path = folder / f"{name}.npz"
        if not self.path.exists():
            _keep(load(name, folder), self.path)
        self._classes, self._labels = self._table("classes", 1, "U").tolist(), self._table("labels", 1, "i").tolist()
        if not self._labels or not 0 <= min(self._labels) <= max(self._labels) < len(self._classes):
            raise self._damaged("labels that are no classes")
        self.keys = self.names = [str(index) for index in range(len(self._labels))]
        self.stamps = [0] * len(self.keys)
        self._pictures: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pictures": None}  # each process reads them from the disk

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self._classes, self._labels

    def content(self, index: int) -> bytes:
        if self._pictures is None:
            pictures = self._table("pictures", None, "u")
            if len(pictures) != len(self._labels) or pictures.ndim not in (3, 4) or pictures.dtype != np.uint8:
                raise self._damaged("other pictures than labels")
            self._pictures = pictures
        return self._pictures[index].tobytes()

    def _table(self, name: str, axes: int | None, kind: str) -> np.ndarray:
        """One array of the file; UserError where it is none of ours, which never needs a pickle."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST:
                    raise ValueError(f"more than {LARGEST:,} bytes")
            with np.load(self.path, allow_pickle=False) as table:
                found: np.ndarray = table[name]
        except Exception as error:  # damaged archives raise nearly anything
            raise self._damaged(str(error)) from error
        if found.dtype.kind != kind or axes not in (None, found.ndim):
            raise self._damaged(f"{name} of another kind")
        return found

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self.path}: not what was kept there ({to_line(why)}); remove it, and it is made anew")

    def count(self, data: bytes, decoder: Decoder) -> int:
        return 1

    def pictures(self, data: bytes, decoder: Decoder) -> Iterator[Fitted]:
        assert self._pictures is not None  # content has been called
        picture = np.frombuffer(data, np.uint8).reshape(self._pictures.shape[1:])
        yield decoder.fitted(Image.fromarray(picture).convert("RGB"))


def load(name: str, folder: Path) -> Any:
    """The set as torchvision has it, downloaded into a folder unless it is there."""
    from torchvision import datasets

    try:
        return getattr(datasets, SETS[name])(folder, train=True, download=True)
    except Exception as error:  # no network, a torn file, a hostile one
        raise UserError(
            f"data={name}: cannot be downloaded to {folder} ({to_line(error)}); try again with a network, "
            "or take data=retro or data=folder"
        ) from error


def _keep(downloaded: Any, path: Path) -> None:
    """Write pictures and labels as arrays, whole or not at all."""
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    try:
        np.savez(
            temporary,
            pictures=np.asarray(downloaded.data, np.uint8),
            labels=np.asarray(downloaded.targets, np.int64),
            classes=np.array(downloaded.classes),
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
