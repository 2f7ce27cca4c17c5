"""The options for pixel art that several tabs share: cells, palette and dithering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from gan.common.errors import UserError
from gan.images.palettes import COLORS, DITHERS
from gan.images.pixel_art import MAX_COLORS, PixelArt, converter, read_palette
from gan.sharing.demo import limits

NO_PALETTE, FROM_FILE = "all colors", "colors of a file"


class Pixels(NamedTuple):
    """What a visitor has chosen.

    Attributes:
        cell: side of a cell in pixels, or "auto".
        palette: uint8 (K, 3); None keeps the colors.
        dither: one of DITHERS.
    """

    cell: int | str
    palette: np.ndarray | None
    dither: str

    def converter(self) -> PixelArt | None:
        return converter(self.cell, self.palette, self.dither)


class PixelOptions:
    """Adds the components to the page, and reads their values.

    Args:
        computed: name of the choice of a palette that is computed from images; None has no such choice.
        cell, palette, dither: the values at the start.

    Attributes:
        inputs: the components whose values `read` takes.
    """

    def __init__(
        self, computed: str | None = None, cell: int = 1, palette: str = NO_PALETTE, dither: str = DITHERS[0]
    ) -> None:
        self.computed = computed
        self.palettes = palettes([computed] if computed else [])
        side = gr.Slider(1, 64, cell, step=1, label="Cell size (pixels)", info="each cell has one color")
        auto = gr.Checkbox(label="Cells of enlarged pixel art", info="finds them in each image")
        self.palette = gr.Dropdown(self.palettes, value=palette, label="Palette")
        colors = gr.Slider(2, MAX_COLORS, 16, step=1, label="Colors to compute", visible=False)
        file = gr.File(label="An image or a text file with the colors", height=110, visible=False)
        self.dither = gr.Dropdown(list(DITHERS), value=dither, label="Dithering", info="mixes the colors of a palette")
        self.inputs = [side, auto, self.palette, colors, file, self.dither]

        def show(name: Any) -> Any:
            return gr.update(visible=name == computed), gr.update(visible=name == FROM_FILE)

        self.palette.change(show, self.palette, [colors, file], show_progress="hidden", api_visibility="private")

    def read(self, values: Sequence[Any], compute: Callable[[int], np.ndarray] | None = None) -> Pixels:
        """Return what the values of `inputs` mean.

        Args:
            compute: returns a palette of a number of colors.

        Raises:
            UserError: a value is not allowed.
        """
        cell, auto, chosen, colors, file, dither = values
        side = "auto" if auto is True else limits.whole("Cell size", cell, 1, limits.MAX_CELL)
        name = limits.choice("Palette", chosen, self.palettes)
        number = limits.whole("Colors to compute", colors, 2, MAX_COLORS)
        method = limits.choice("Dithering", dither, DITHERS)
        palette = None
        if name == FROM_FILE:
            palette = palette_of(file)
        elif name == self.computed:
            assert compute is not None
            palette = compute(number)
        elif name != NO_PALETTE:
            palette = read_palette(name)
        if palette is None and method != DITHERS[0]:
            raise UserError(f"Dithering {method}: needs a palette; choose a Palette, or set Dithering to {DITHERS[0]}")
        return Pixels(side, palette, method)


def palettes(computed: Sequence[str] = ()) -> list[str]:
    """Return the choices of a palette."""
    return [NO_PALETTE, *computed, *COLORS, FROM_FILE]


def palette_of(path: Any) -> np.ndarray:
    """Return the palette of an uploaded file."""
    if not path:
        raise UserError("Palette: upload an image or a text file with the colors")
    try:
        return read_palette(str(path))
    except UserError as error:
        raise UserError(str(error).replace(f"--palette {path}", Path(str(path)).name)) from error
