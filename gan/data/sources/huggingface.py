"""Datasets of the Hugging Face Hub, or in its formats on disk, as sources of images: data=huggingface."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from gan.common.errors import UserError, install, reason
from gan.common.nested import with_home
from gan.data.decoding.decode import DecodedImage, Decoder
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import header


class HuggingFaceDataset:
    """One split of a dataset with a column of images.

    Args:
        name: USER/NAME on the Hub, or a folder with Parquet or Arrow files.
        config: name of a configuration, if the dataset has several.
        split: name of the split, such as train or train[:10%].
        image_column: name of the column of images.
        label_column: name of the column of labels, which are ClassLabel, integers or strings. None: no classes.

    Raises:
        UserError: the library is not installed, or there is no such dataset or column.
    """

    def __init__(
        self,
        name: str,
        config: str | None = None,
        split: str = "train",
        image_column: str = "image",
        label_column: str | None = None,
    ) -> None:
        try:
            import datasets
        except ImportError as error:
            raise UserError(f"data=huggingface needs the datasets library: {install('hub')}") from error
        try:
            table = datasets.load_dataset(with_home(name), config, split=split)
        except Exception as error:  # datasets, files and networks raise different errors
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"data.name={name}: cannot be loaded ({reason})") from error
        for column in filter(None, (image_column, label_column)):
            if column not in table.column_names:
                raise UserError(
                    f"data.name={name}: no column {column!r}; the columns are {', '.join(table.column_names)}"
                )
        self._classes, self._labels = _classes(table, label_column)
        self.table: Any = table.select_columns([image_column]).cast_column(image_column, datasets.Image(decode=False))
        self.image_column = image_column
        self.where = f"data.name={name}"
        self.title = f"decoding {name}"
        self.identity = ["hub", name, config, split, image_column, table._fingerprint]
        self.keys = self.names = [str(index) for index in range(len(table))]
        self.stamps = [0] * len(self.keys)

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self._classes, self._labels

    def content(self, index: int) -> bytes:
        cell = self.table[index][self.image_column]
        if cell is None:
            raise ImageError("the cell is empty")
        if cell["bytes"] is not None:
            return cell["bytes"]
        try:
            with open(cell["path"], "rb") as file:
                return file.read()
        except OSError as error:
            raise ImageError(reason(error)) from error

    def count(self, data: bytes, decoder: Decoder) -> int:
        return header(BytesIO(data), decoder.max_pixels).frames

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[DecodedImage]:
        return decoder(BytesIO(data))


def _classes(table: Any, label: str | None) -> tuple[list[str], list[int]]:
    if label is None:
        return [], [0] * len(table)
    values = table[label][:]
    names = getattr(table.features[label], "names", None)
    if names is not None:
        return list(names), list(values)
    found = sorted(set(values))
    place = {value: index for index, value in enumerate(found)}
    return [str(value) for value in found], [place[value] for value in values]


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
