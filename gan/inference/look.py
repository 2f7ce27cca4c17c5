"""A look as a function of images: filters without a network. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gan.data.styles import registry
from gan.data.styles.settings import Settings
from gan.inference.image_function import ImageFunction

PREFIX = "look:"


class Look(ImageFunction):
    """A look, such as film, with parameters.

    Args:
        style: a look, a filter, or a list of filters, see `gan.data.styles.registry.filter_names`.
        settings: parameters of its filters by name.

    Attributes:
        filters: the filters in order, each with the parameters that differ from the default.

    Raises:
        UserError: a name or a parameter is unknown, or a value is out of its range.
    """

    bytes_per_pixel = 180  # of the Kuwahara filter and halftone, measured

    def __init__(self, style: str | Sequence[str], settings: Settings | None = None) -> None:
        self.filters = registry.filter_names(style, settings, PREFIX)
        self.apply = registry.make_style(self.filters, None, PREFIX)

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        return self.apply(pixels, number)


def parse_look(word: str, settings: Settings | None = None) -> Look:
    """Return the look that a word names: look:film, or filters in order, as in look:fade,scan_lines.

    Raises:
        UserError: as `Look`.
    """
    names = word.removeprefix(PREFIX).split(",")
    return Look(names[0] if len(names) == 1 else names, settings)
