"""A look as a function of images: filters without a network. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gan.data.styles import is_table, registry, table_files
from gan.data.styles.settings import Settings
from gan.inference.image_function import ImageFunction

PREFIX = "look:"
TABLE_BYTES_PER_PIXEL = 60  # of color tables alone, measured


class Look(ImageFunction):
    """A look, such as film, with parameters.

    Args:
        style: a look, a filter, or a list of filters, see `gan.data.styles.registry.filter_names`.
        settings: parameters of its filters by name.

    Attributes:
        names: the given names of looks, filters and files.
        filters: the filters in order, each with the parameters that differ from the default.
        recorded: the same for a record, which names a file by its digest.

    Raises:
        UserError: a name or a parameter is unknown, or a value is out of its range.
    """

    bytes_per_pixel = 180  # of the Kuwahara filter and halftone, measured

    def __init__(self, style: str | Sequence[str], settings: Settings | None = None) -> None:
        self.names = [style] if isinstance(style, str) else list(style)
        self.filters = registry.filter_names(style, settings, PREFIX)
        self.recorded = [table_files.recorded(each) if is_table(each) else each for each in self.filters]
        if all(map(is_table, self.filters)):
            self.bytes_per_pixel = TABLE_BYTES_PER_PIXEL
        self.apply = registry.make_style(self.filters, None, PREFIX)

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        return self.apply(pixels, number)


def is_look(word: object) -> bool:
    """Return whether a word names a look: look:NAME, or a file with a color table."""
    return isinstance(word, str) and (word.startswith(PREFIX) or is_table(word))


def parse_look(word: str, settings: Settings | None = None) -> Look:
    """Return the look that a word names: look:film, or filters in order, as in look:fade,scan_lines, or FILE.cube.

    Raises:
        UserError: as `Look`.
    """
    if not word.startswith(PREFIX):
        return Look(word, settings)
    names = word.removeprefix(PREFIX).split(",")
    return Look(names[0] if len(names) == 1 else names, settings)
