"""The options for pixel art of all tabs that change images, and the tab Pixel art, which needs no translator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from gan import settings
from gan.data.sources.files import File
from gan.demo import calls
from gan.demo.calls import LONG, PRIVATE, PROGRESS, Context, Controls, answer, image_upload, start_buttons
from gan.demo.uploads import Results, find_files, translated
from gan.pixel_art import COLORS
from gan.pixel_art.cells import MAX_COLORS, PixelArt, Unscaler, converter, fit_colors, read_palette
from gan.settings import DITHER, Setting
from gan.translation.image_translator import ImageFunction, ImageTranslator
from gan.utils.errors import UserError

NO_PALETTE, FROM_FILE, FROM_IMAGES = "all colors", "colors of a file", "colors of the images"
NUM_COLORS = Setting("colors", default=16, low=2, high=MAX_COLORS, whole=True)


class Chosen(NamedTuple):
    """The options of a call: side of a cell in pixels or "auto"; palette uint8 (K, 3) or None; method of dithering."""

    cell: int | str
    palette: np.ndarray | None
    dither: str

    def converter(self) -> PixelArt | None:
        return converter(*self)


def add_pixel_art(controls: Controls, computed: str | None = None, cell: int = 1, palette: str = NO_PALETTE) -> None:
    """Add the options to a tab.

    Args:
        computed: name of the choice of a palette that is computed from images; None has no such choice.
        cell, palette: the values at the start; a palette is then dithered.
    """
    words = [NO_PALETTE, *([computed] if computed else []), *COLORS, FROM_FILE]
    dithering = DITHER.default if palette == NO_PALETTE else "floyd_steinberg"
    controls.number(calls.CELL, gr.Slider(1, 64, cell, step=1, label="Cell size (pixels)",
                                           info="each cell has one color"))  # fmt: skip
    controls.add("auto", gr.Checkbox(label="Cells of enlarged pixel art", info="finds them in each image"))
    chosen = controls.choice("palette", gr.Dropdown(words, value=palette, label="Palette"))
    number = controls.number(NUM_COLORS, gr.Slider(2, MAX_COLORS, 16, step=1, label="Colors to compute", visible=False))
    file = controls.add("colors_file", gr.File(label="An image or a text file with the colors", height=110,
                                               visible=False))  # fmt: skip
    controls.choice("dither", gr.Dropdown(list(DITHER.words), value=dithering, label="Dithering",
                                                   info="mixes the colors of a palette"))  # fmt: skip

    def show(name: Any) -> Any:
        return gr.update(visible=name == computed), gr.update(visible=name == FROM_FILE)

    chosen.change(show, chosen, [number, file], **PRIVATE)


def read_pixel_art(given: SimpleNamespace, compute: Callable[[int], np.ndarray] | None = None) -> Chosen:
    """Return the options of a call; raise UserError if they contradict each other.

    Args:
        compute: returns a palette of a number of colors.
    """
    palette = None
    if given.palette == FROM_FILE:
        if not given.colors_file:
            raise UserError("Palette: upload an image or a text file with the colors")
        path = str(given.colors_file)
        try:
            palette = read_palette(path)
        except UserError as error:
            raise UserError(str(error).replace(f"--palette {path}", Path(path).name)) from error
    elif given.palette in COLORS:
        palette = read_palette(given.palette)
    elif given.palette != NO_PALETTE and compute is not None:
        palette = compute(given.colors)
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
            add_pixel_art(controls, FROM_IMAGES, cell=3, palette="pico8")
            start = start_buttons("Convert", context)
        with gr.Column(scale=3):
            results = Results("Results", pixelated=True)

    @answer
    def convert(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given = controls.read(values)
        art = read_pixel_art(given, partial(colors_of, context, given.paths))
        if (to_pixel_art := art.converter()) is None:
            raise UserError("nothing to do: choose a Palette or a Cell size")
        translator = ImageTranslator(Unchanged(), 1, to_pixel_art, art.palette is not None)
        return translated(context, results, given.paths, translator, None, (request, progress), ".png")

    start.click(convert, controls.inputs, results.outputs, api_name="pixel_art", **LONG)


def colors_of(context: Context, paths: Any, number: int) -> np.ndarray:
    """Return a palette that is fitted to uploads; raise UserError if none can be read and has opaque pixels."""
    unscaler = Unscaler(side=1, max_pixels=calls.MAX_PIXELS)
    files: list[File] = find_files(paths, context)
    colors = np.concatenate([context.apart(unscaler.colors, file) for file in files])
    if not len(colors):
        raise UserError(f"Palette {FROM_IMAGES}: no image has opaque pixels that can be read")
    return fit_colors(colors, number)
