"""The options for pixel art of all tabs that change images, and the tab Pixel art, which needs no translator."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from gan import settings
from gan.demo import calls
from gan.demo.calls import LONG, PRIVATE, PROGRESS, Context, Controls, answer, image_upload, start_buttons
from gan.demo.uploads import Results, translated
from gan.pixel_art import COLORS
from gan.pixel_art.cells import PixelArt, converter, read_palette
from gan.settings import DITHER
from gan.translation.image_translator import ImageFunction, ImageTranslator
from gan.utils.errors import UserError

NO_PALETTE, FROM_FILE = "all colors", "colors of a file"


class Chosen(NamedTuple):
    """The options of a call: side of a cell in pixels or "auto"; palette uint8 (K, 3) or None; method of dithering."""

    cell: int | str
    palette: np.ndarray | None
    dither: str

    def converter(self) -> PixelArt | None:
        return converter(*self)


def add_pixel_art(controls: Controls, cell: int = 1, palette: str = NO_PALETTE) -> None:
    """Add the options to a tab, with a cell and a palette at the start; the palette is then dithered."""
    words = [NO_PALETTE, *COLORS, FROM_FILE]
    dithering = DITHER.default if palette == NO_PALETTE else "floyd_steinberg"
    controls.number(calls.CELL, gr.Slider(1, 64, cell, step=1, label="Cell size (pixels)",
                                           info="each cell has one color"))  # fmt: skip
    controls.add("auto", gr.Checkbox(label="Cells of enlarged pixel art", info="finds them in each image"))
    chosen = controls.choice("palette", gr.Dropdown(words, value=palette, label="Palette"))
    file = controls.add("colors_file", gr.File(label="An image or a text file with the colors", height=110,
                                               visible=False))  # fmt: skip
    controls.choice("dither", gr.Dropdown(list(DITHER.words), value=dithering, label="Dithering",
                                                   info="mixes the colors of a palette"))  # fmt: skip
    chosen.change(lambda name: gr.update(visible=name == FROM_FILE), chosen, file, **PRIVATE)


def read_pixel_art(given: SimpleNamespace) -> Chosen:
    """Return the options of a call; raise UserError if they contradict each other."""
    palette = None
    if given.palette == FROM_FILE:
        if not given.colors_file:
            raise UserError("Palette: upload an image or a text file with the colors")
        path = str(given.colors_file)
        try:
            palette = read_palette(path)
        except UserError as error:
            raise UserError(str(error).replace(f"--palette {path}", Path(path).name)) from error
    elif given.palette != NO_PALETTE:
        palette = read_palette(given.palette)
    if palette is None and given.dither != DITHER.default:
        raise UserError(f"Dithering {given.dither}: needs a palette; choose a Palette, or no dithering")
    if palette is not None and getattr(given, "strength", 1) < 1:
        raise UserError(f"a palette needs Strength 1; set Strength to 1, or Palette to {NO_PALETTE!r}")
    return Chosen("auto" if given.auto is True else given.cell, palette, given.dither)


def strength_slider(controls: Controls, full: str) -> None:
    controls.number(
        settings.STRENGTH, gr.Slider(0, 1, 1, step=0.05, label="Strength", info=f"0 is the input, 1 {full}")
    )


class Unchanged(ImageFunction):
    """Returns the colors of the image."""

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        return pixels[..., :3]


def pixel_art_tab(context: Context) -> None:
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            controls.add("paths", image_upload())
            add_pixel_art(controls, cell=3, palette="pico8")
            start = start_buttons("Convert", context)
        with gr.Column(scale=3):
            results = Results("Results", pixelated=True)

    @answer
    def convert(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given = controls.read(values)
        art = read_pixel_art(given)
        if (to_pixel_art := art.converter()) is None:
            raise UserError("nothing to do: choose a Palette or a Cell size")
        translator = ImageTranslator(Unchanged(), 1, to_pixel_art, art.palette is not None)
        return translated(context, results, given.paths, translator, None, (request, progress), ".png")

    start.click(convert, controls.inputs, results.outputs, api_name="pixel_art", **LONG)
