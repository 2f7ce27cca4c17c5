"""The built-in retro images as a source of pictures."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from gan.data import retro
from gan.data.decode import Decoder, Fitted

SEED = 0  # the set is the same whatever a run's seed is, so that runs compare


class Drawn:
    """The first `count` images of `retro.draw`, drawn at the size asked for; their classes are its kinds."""

    where = "data=retro"
    title = "drawing retro images"

    def __init__(self, count: int) -> None:
        self.identity = ["retro", SEED]
        self.keys = self.names = [str(index) for index in range(count)]
        self.stamps = [0] * count

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return list(retro.KINDS), [index % len(retro.KINDS) for index in range(len(self.keys))]

    def content(self, index: int) -> bytes:
        return str(index).encode()

    def count(self, data: bytes, decoder: Decoder) -> int:
        return 1

    def pictures(self, data: bytes, decoder: Decoder) -> Iterator[Fitted]:
        yield decoder.fitted(Image.fromarray(retro.draw(SEED, int(data), *decoder.size)))
