"""The built-in retro images as a source of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from gan.common.errors import UserError
from gan.data.builtin import retro
from gan.data.decoding.decode import DecodedImage, Decoder

SEED = 0  # the same images for all seeds of a run, so that runs are comparable


class BuiltinImages:
    """The first `count` images of `retro.draw` in the given classes, generated at the training size."""

    where = "data=retro"
    title = "generating retro images"
    trusted = True

    def __init__(self, count: int, classes: Sequence[str] = retro.CLASSES) -> None:
        unknown = [name for name in classes if name not in retro.CLASSES]
        if unknown or not classes or len(set(classes)) < len(classes):
            raise UserError(f"data.classes={list(classes)} must be a list of {', '.join(retro.CLASSES)}, each once")
        self.class_names = list(classes)
        numbers = [retro.CLASSES.index(name) for name in self.class_names]
        self.identity = ["retro", SEED]
        self.keys = self.names = [
            str(index // len(numbers) * len(retro.CLASSES) + numbers[index % len(numbers)]) for index in range(count)
        ]
        self.stamps = [0] * count

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self.class_names, [index % len(self.class_names) for index in range(len(self.keys))]

    def content(self, index: int) -> bytes:
        return self.keys[index].encode()

    def count(self, data: bytes, decoder: Decoder) -> int:
        return 1

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[DecodedImage]:
        yield decoder.fit_image(Image.fromarray(retro.draw(SEED, int(data), *decoder.size)))
