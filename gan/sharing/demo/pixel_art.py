"""The tab Pixel art: palettes, dithering and cells without a translator, and enlarged pixel art at its own size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from gan.common.errors import UserError
from gan.data.sources.files import File
from gan.images.palettes import DITHERS
from gan.images.pixel_art import Unscaler, fit_colors
from gan.inference.image_translator import ImageFunction, ImageTranslator
from gan.sharing.demo import limits
from gan.sharing.demo.context import LONG, PROGRESS, Context, answer
from gan.sharing.demo.controls import buttons, image_upload
from gan.sharing.demo.pixel_options import NO_PALETTE, PixelOptions
from gan.sharing.demo.results import Results, changed, limit_of, translated
from gan.sharing.demo.uploads import find_files

FROM_IMAGES = "colors of the images"
KEEP, OWN_SIZE = "keep the size", "enlarged pixel art at its own size"


class Unchanged(ImageFunction):
    """Returns the colors of the image."""

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        return pixels[..., :3]


def pixel_art_tab(context: Context) -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = image_upload()
            size = gr.Radio([KEEP, OWN_SIZE], value=KEEP, label="Size of the results",
                            info="the second finds the grid of each image; results are PNG files")  # fmt: skip
            pixels = PixelOptions(FROM_IMAGES, cell=3, palette="pico8", dither="floyd_steinberg")
            start, cancel, download = buttons("Convert")
        with gr.Column(scale=3):
            results = Results("Results", "converted", pixelated=True)

    @answer
    def convert(request: gr.Request, progress: Any = PROGRESS, *given: Any) -> Any:
        paths, size, *values = given
        own_size = limits.choice("Size", size, (KEEP, OWN_SIZE)) == OWN_SIZE
        art = pixels.read(values, lambda number: colors_of(context, find_files(paths or [], context), number))
        job = request, progress, "converting"
        if own_size:
            change = partial(unscale, context, Unscaler(None, art.palette, art.dither, limit_of(0, True)))
            return changed(context, results, paths, change, job, ".png")
        if (to_pixel_art := art.converter()) is None:
            raise UserError("nothing to do: choose a Palette or a Cell size, or the own size of enlarged pixel art")
        translator = ImageTranslator(Unchanged(), 1, to_pixel_art, art.palette is not None)
        return translated(context, results, paths, translator, None, job, ".png")

    def colors_for(size: Any) -> Any:  # enlarged pixel art has its own colors
        return (
            (gr.update(value=NO_PALETTE), gr.update(value=DITHERS[0])) if size == OWN_SIZE else (gr.skip(), gr.skip())
        )

    size.input(colors_for, size, [pixels.palette, pixels.dither], show_progress="hidden", api_visibility="private")
    start.click(
        convert, [upload, size, *pixels.inputs], results.outputs(download), api_name="pixel_art", concurrency_id=LONG,
        concurrency_limit=1,
    )  # fmt: skip
    cancel.click(context.cancel, api_visibility="private")


def unscale(context: Context, unscaler: Unscaler, todo: list[tuple[File, Path]], advance: Any) -> list[str]:
    """Write enlarged pixel art at its own size, and return a line for each file that failed."""
    failed = []
    for file, target in todo:
        result = context.apart(unscaler, (file, target))
        if result.error:
            failed.append(f"{file.shown}: {result.error}")
        advance(1)
    return failed


def colors_of(context: Context, files: list[File], number: int) -> np.ndarray:
    """Return a palette that is fitted to images.

    Raises:
        UserError: no image can be read and has opaque pixels.
    """
    unscaler = Unscaler(side=1, max_pixels=limits.MAX_PIXELS)
    found = np.concatenate([context.apart(unscaler.colors, file) for file in files])
    if not len(found):
        raise UserError(f"Palette {FROM_IMAGES}: no image has opaque pixels that can be read")
    return fit_colors(found, number)
