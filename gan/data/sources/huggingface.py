"""Datasets of the Hugging Face Hub, or in its formats on disk, as sources of images: data=huggingface."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError
from gan.utils.errors import UserError, reason, to_line
from gan.utils.option_values import with_home


class HuggingFaceDataset:
    """One split of a dataset with a column of images. `conf/data/huggingface.yaml` describes the options."""

    def __init__(
        self,
        name: str,
        config: str | None = None,
        split: str = "train",
        image_column: str = "image",
        label_column: str | None = None,
    ) -> None:
        import datasets  # the extra hub, which `gan.config.new_run` looks for

        try:
            table = datasets.load_dataset(with_home(name), config, split=split)
            self._classes, self._labels = _classes(table, label_column)
            self.table: Any = table.select_columns([image_column])
            self.table = self.table.cast_column(image_column, datasets.Image(decode=False))
        except Exception as error:  # datasets, files and networks raise different errors
            raise UserError(f"data.name={name}: cannot be loaded ({to_line(error)})") from error
        self.image_column = image_column
        self.where = f"data.name={name}"
        self.title = f"decoding {name}"
        self.identity = ["hub", name, config, split, image_column, table._fingerprint]
        self.keys = self.names = [str(index) for index in range(len(table))]
        self.stamps = [0] * len(self.keys)

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self._classes, self._labels

    def content(self, index: int) -> bytes:
        image = self.table[index][self.image_column]
        if image is None:
            raise ImageError("the cell is empty")
        try:
            return image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
        except OSError as error:
            raise ImageError(reason(error)) from error

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        return decoder(BytesIO(data))


def _classes(table: Any, column: str | None) -> tuple[list[str], list[int]]:
    if column is None:
        return [], [0] * len(table)
    values = table[column][:]
    if names := getattr(table.features[column], "names", None):
        return list(names), list(values)
    distinct = sorted(set(values))
    labels = {value: label for label, value in enumerate(distinct)}
    return list(map(str, distinct)), [labels[value] for value in values]


def data_module(
    name: str,
    config: str | None = None,
    hub_split: str = "train",
    image_column: str = "image",
    label_column: str | None = None,
    **options: Any,
) -> Any:
    """Return an `ImageDataModule` of a `HuggingFaceDataset`. `options` are those of `ImageDataModule`."""
    from gan.data.module import ImageDataModule  # imported here, so that decoding processes do not import torch

    return ImageDataModule(source=HuggingFaceDataset(name, config, hub_split, image_column, label_column), **options)
