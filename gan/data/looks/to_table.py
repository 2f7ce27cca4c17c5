"""The color table of a look: what remains of it without positions, neighborhoods and noise.

An entry of the table is the mean color of an image that has one color, after the look. For a filter that changes each
pixel by its color alone, that is the filter itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gan.data.builtin.retro import draw
from gan.data.looks import registry
from gan.data.looks.color_table import ColorTable, identity
from gan.data.looks.settings import FloatImage, split_word
from gan.utils.errors import UserError

KNOTS, SIDE = 16, 32  # colors along an axis, and side in pixels, of images of one color
PHOTOGRAPHS = (2, 6, 10, 14)  # built-in images, to measure what a table explains
SIZE = 128  # pixels of their sides
BLOCK = 16  # pixels; dots and grain that are smaller do not count
MIN_EXPLAINED = 0.15  # fraction of the change of colors

Change = Callable[[FloatImage], FloatImage]


class TableOfLook(NamedTuple):
    """The table of a look, and what it does not hold.

    Attributes:
        averaged: filters that depend on the place or on other pixels; the table has their mean.
        left_out: random filters.
        explained: the fraction of the look's change of colors, over areas of BLOCK pixels of built-in photographs,
            that the table makes.
    """

    table: ColorTable
    averaged: list[str]
    left_out: list[str]
    explained: float


def table_of_look(filters: Sequence[str], size: int, title: str = "") -> TableOfLook:
    """Return the table of filters with `size` entries along each axis.

    Args:
        filters: as `registry.filter_names` returns.

    Raises:
        UserError: all filters are random, or the table makes next to nothing of the change, as for poster, whose colors
            depend on the whole image.
    """
    words = registry.predictable(filters)
    colors, averaged = identity(size), []
    for word in words:
        change = change_of(word)
        if is_pointwise(change):
            colors = change(colors.reshape(size * size, size, 3)).clip(0, 1).astype(np.float32).reshape(colors.shape)
        else:
            averaged.append(split_word(word)[0])
            colors = table_of_areas(change).apply(colors)
    table = ColorTable(colors, title=title)
    left_out = [split_word(word)[0] for word in filters if word not in words]
    explained = fraction_explained(words, table) if words else 0.0  # all are random
    if explained < MIN_EXPLAINED:
        percent = max(0, round(100 * explained))
        kind = "is not a function of the color of a pixel; a color table would make only"
        raise UserError(f"{','.join(filters)}: {kind} {percent} % of its change")
    return TableOfLook(table, averaged, left_out, explained)


def change_of(word: str) -> Change:
    """Return a filter with its parameters as a function of images. It is not random."""
    name, own = split_word(word)
    function = registry.filter_of(name)
    return lambda image: function(image, np.random.default_rng(0), **own)


def is_pointwise(change: Change) -> bool:
    """Return whether each pixel depends on nothing but the same pixel: permuted pixels give permuted results."""
    rng = np.random.default_rng(0)
    image = rng.random((40, 56, 3), np.float32)
    order = rng.permutation(40 * 56)
    permuted = change(image.reshape(-1, 3)[order].reshape(image.shape)).reshape(-1, 3)
    return bool(np.abs(permuted - change(image).reshape(-1, 3)[order]).max() < 1e-4)


def table_of_areas(change: Change) -> ColorTable:
    """Return the table of the mean colors of images of one color each."""
    colors = identity(KNOTS).reshape(-1, 3)
    means = [change(np.tile(color, (SIDE, SIDE, 1))).mean((0, 1)) for color in colors]
    return ColorTable(np.array(means, np.float32).reshape(KNOTS, KNOTS, KNOTS, 3))


def fraction_explained(filters: Sequence[str], table: ColorTable) -> float:
    """Return how much of the change of colors by filters a table makes, see `TableOfLook`."""
    look = registry.make_style(filters)
    error = change = 0.0
    for index in PHOTOGRAPHS:
        before = draw(0, index, SIZE, SIZE)
        after = block_means(look(before, 0) / np.float32(255))
        error += float(np.abs(after - block_means(table.apply(before))).mean())
        change += float(np.abs(after - block_means(before / np.float32(255))).mean())
    return 1 - error / change if change else 1.0


def block_means(image: FloatImage) -> np.ndarray:
    """Return the mean of each block of an image (SIZE, SIZE, 3)."""
    return np.asarray(image.reshape(SIZE // BLOCK, BLOCK, SIZE // BLOCK, BLOCK, 3).mean((1, 3)))
