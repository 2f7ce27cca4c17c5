"""The tab Translate: photographs or a zip archive in, translations of the same names, sizes and formats out."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan.common.errors import UserError
from gan.inference.closed_form import target_palette
from gan.inference.image_translator import ImageTranslator
from gan.inference.loading import has_data, select_direction
from gan.inference.tiling import tile_for_memory
from gan.inference.translator import NetworkFunction
from gan.sharing.demo import limits
from gan.sharing.demo.context import LONG, PROGRESS, Context, answer
from gan.sharing.demo.controls import buttons, check_blending, image_upload, strength_slider
from gan.sharing.demo.pixel_options import PixelOptions
from gan.sharing.demo.results import Results, translated
from gan.sharing.demo.shown import Shown
from gan.sharing.provenance import fields_of
from gan.sharing.translations import translations

FORWARD, BACK = "to the target style", "back to photographs"
FROM_TARGETS = "colors of target images"
MIN_TILE = 64


def translate_tab(shown: Shown, context: Context) -> None:
    both = hasattr(shown.model.network, "b2a")
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = image_upload()
            direction = gr.Radio([FORWARD, BACK], value=FORWARD, label="Direction", visible=both)
            strength = strength_slider("the translation")
            with gr.Accordion("Pixel art", open=False):
                # A shared model has no target images.
                pixels = PixelOptions(FROM_TARGETS if has_data(shown.model.config) else None)
            with gr.Accordion("Memory", open=False):
                tile = gr.Number(0, label="Tile size (pixels)", precision=0, info="0: as large as memory allows")
            button, cancel, download = buttons("Translate")
        with gr.Column(scale=3):
            results = Results()

    @answer
    def translate(request: gr.Request, progress: Any = PROGRESS, *given: Any) -> Any:
        paths, direction, strength, tile, *values = given
        way = "a2b" if limits.choice("Direction", direction, (FORWARD, BACK)) == FORWARD else "b2a"
        weight = limits.number("Strength", strength, 0, 1)
        tiles = limits.whole("Tile size", tile or 0, 0, 4096)
        if 0 < tiles < MIN_TILE:
            raise UserError(f"Tile size {tiles}: give 0, or at least {MIN_TILE} pixels")
        network = select_direction(shown.name, shown.model.network, way)
        chosen = pixels.read(values, lambda number: target_palette(shown.model.config, shown.path, way, number))
        check_blending(weight, chosen)
        function = NetworkFunction(network, shown.model.config["data"]["channels"], tiles or tile_for_memory(network))
        translator = ImageTranslator(function, weight, chosen.converter(), chosen.palette is not None)
        made_by = fields_of(network, shown.model.images)
        describe = translations(made_by, weight, chosen.cell, way, chosen.palette, chosen.dither)
        return translated(context, results, paths, translator, describe, (request, progress, "translating"))

    button.click(
        translate, [upload, direction, strength, tile, *pixels.inputs], results.outputs(download),
        api_name=f"translate{shown.calls}", concurrency_id=LONG, concurrency_limit=1,
    )  # fmt: skip
    cancel.click(context.cancel, api_visibility="private")
