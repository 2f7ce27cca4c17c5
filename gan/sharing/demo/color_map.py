"""The tab Color map: a map fitted to photographs and to images in a style, in seconds, and applied to other images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.common.output import one_line
from gan.data.first_frame import decode
from gan.inference.closed_form import FIT_SIZE, ClosedFormFunction
from gan.inference.image_translator import ImageTranslator
from gan.inference.inputs import decoder_of
from gan.networks.transfer.choose import MIN_IMAGES, Choice, choose
from gan.networks.transfer.fit import KINDS, visible
from gan.networks.transfer.position import BASES
from gan.sharing.demo import limits
from gan.sharing.demo.content import Fitted
from gan.sharing.demo.context import LONG, PROGRESS, Context, answer
from gan.sharing.demo.controls import buttons, check_blending, image_upload, strength_slider
from gan.sharing.demo.pixel_options import PixelOptions
from gan.sharing.demo.results import Results, translated
from gan.sharing.demo.uploads import find_files
from gan.sharing.export import network_tables, tables
from gan.sharing.record import translations

CHOSEN, TESTED, NOWHERE = "chosen on held-out images", "a vignette if most have one", "none"
NO_POSITION = "*Position*: none"  # where a visitor disables the position
POSITIONS = (TESTED, NOWHERE, *BASES)
DECODING = {"size": FIT_SIZE, "channels": 4, "fit": "stretch"}
TABLE_SIZE = 33  # entries along each axis of the .cube file
NO_MAP = (
    f"Upload photographs and images in a style, {MIN_IMAGES} to {limits.MAX_FILES} each, or a zip archive of each. "
    "The images may show anything. Press *Fit the color map*, which takes seconds. Then translate other images."
)


def color_map_tab(context: Context, fitted: Fitted | None) -> None:
    state = gr.State(None)  # the choice of the visitor; None is that of --fit
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            photographs = image_upload("1. Photographs", 120)
            retro = image_upload("2. Images in the style", 120)
            with gr.Accordion("Kind of the map", open=False):
                kind = gr.Radio([CHOSEN, *KINDS], value=CHOSEN, label="Map")
                position = gr.Radio(POSITIONS, value=TESTED, label="Position")
            with gr.Row():
                fit_button = gr.Button("Fit the color map", variant="primary" if fitted is None else "secondary")
            table = gr.DownloadButton("Download the color map (.cube)", interactive=fitted is not None,
                                      value=None if fitted is None else table_of(context, fitted.choice))  # fmt: skip
            upload = image_upload("3. Images to translate", 120)
            strength = strength_slider("the full map")
            with gr.Accordion("Pixel art", open=False):
                pixels = PixelOptions()
            start, cancel, download = buttons("Translate")
        with gr.Column(scale=3):
            about = gr.Markdown(NO_MAP if fitted is None else f"{fitted.name}: {fitted.choice.describe(NO_POSITION)}")
            results = Results()

    @answer
    def fit(request: gr.Request, progress: Any = PROGRESS, *given: Any) -> Any:
        one, other, kind, position = given
        wanted = limits.choice("Map", kind, (CHOSEN, *KINDS)), limits.choice("Position", position, POSITIONS)
        job = request, progress
        photos = images_of(context, one, "Photographs", job)
        targets = images_of(context, other, "Images in the style", job)
        asked = None if wanted[0] == CHOSEN else wanted[0], None if wanted[1] == TESTED else wanted[1]
        made = choose(photos, targets, kind=asked[0], position=asked[1])
        ready = gr.DownloadButton(value=table_of(context, made), interactive=True)
        return made, made.describe(NO_POSITION), ready

    @answer
    def translate(request: gr.Request, progress: Any = PROGRESS, *given: Any) -> Any:
        paths, choice, share, *values = given
        if choice is None and fitted is None:
            raise UserError("there is no color map yet: upload images in 1 and 2, then press Fit the color map")
        function = ClosedFormFunction((choice or fitted.choice).color_map)  # type: ignore[union-attr]
        weight, art = limits.number("Strength", share, 0, 1), pixels.read(values)
        check_blending(weight, art)
        translator = ImageTranslator(function, weight, art.converter(), art.palette is not None)
        made_by = {"closed_form": function.recorded}
        describe = translations(made_by, weight, art.cell, palette=art.palette, dither=art.dither)
        return translated(context, results, paths, translator, describe, (request, progress, "translating"))

    shared: dict[str, Any] = {"concurrency_id": LONG, "concurrency_limit": 1}
    fit_button.click(fit, [photographs, retro, kind, position], [state, about, table], api_name="fit", **shared)
    start.click(
        translate, [upload, state, strength, *pixels.inputs], results.outputs(download), api_name="map_colors", **shared
    )  # fmt: skip
    cancel.click(context.cancel, api_visibility="private")


def images_of(context: Context, paths: Any, what: str, job: tuple[gr.Request, Any]) -> Tensor:
    """Return the images of uploads for a fit, uint8 (N, 4, FIT_SIZE, FIT_SIZE), premultiplied.

    Raises:
        UserError: an image cannot be read, or they are too few.
    """
    files = find_files(paths or [], context)
    decoder = replace(decoder_of(DECODING), max_pixels=limits.MAX_PIXELS)
    found = []
    with context.job(*job, len(files), "reading images") as advance:
        for file in files:
            decoded = context.apart(decode, decoder, file)
            if decoded.pixels is None:
                raise UserError(f"{one_line(file.name)}: {decoded.error}; leave it out")
            found.append(torch.from_numpy(decoded.pixels))
            advance(1)
    images = visible(torch.stack(found))
    if len(images) < MIN_IMAGES:
        raise UserError(f"{what}: {len(images)} images are too few; upload at least {MIN_IMAGES}")
    return images


def table_of(context: Context, choice: Choice) -> str:
    """Return the path of a .cube file with a color map."""
    found = network_tables.of_color_map(choice.color_map, TABLE_SIZE, "color_map")
    return context.keep(tables.encode(found, "cube"), f"{found.name}.cube")
