"""Some of the items of a source, for trying out: data.max_images."""

from __future__ import annotations

from typing import Any

import numpy as np


class Subset:
    """A source of at most n items of another source: one from each of n equal parts, so that all folders take part.

    The item of a part is random, but always the same. The cache keeps the items in an entry of their own.
    """

    def __init__(self, source: Any, n: int) -> None:
        total = len(source.keys)
        ends = [place * total // n for place in range(n + 1)] if n < total else list(range(total + 1))
        self.source = source
        self.items = np.random.default_rng(0).integers(ends[:-1], ends[1:]).tolist()
        self.identity = ["subset", len(self.items), source.identity]
        self.keys = [source.keys[item] for item in self.items]
        self.names = [source.names[item] for item in self.items]
        self.stamps = [source.stamps[item] for item in self.items]
        self.where, self.title = source.where, source.title
        self.trusted = getattr(source, "trusted", False)

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        names, labels = self.source.classes(option)
        return names, [labels[item] for item in self.items]

    def content(self, index: int) -> bytes:
        content: bytes = self.source.content(self.items[index])
        return content

    def count(self, data: bytes, decoder: Any) -> int:
        count: int = self.source.count(data, decoder)
        return count

    def decode(self, data: bytes, decoder: Any) -> Any:
        return self.source.decode(data, decoder)
