"""The tab Translate: photographs or a zip archive in, translations of the same names, sizes and formats out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from gan.common.errors import UserError
from gan.common.names import one_line
from gan.images import files as image_files
from gan.images.files import encode
from gan.images.pixel_art import MAX_COLORS, converter, read_palette
from gan.inference.image_translator import ImageTranslator
from gan.inference.loading import has_data, select_direction
from gan.inference.network_function import NetworkFunction
from gan.inference.target_palette import target_palette
from gan.inference.tiling import tile_for_memory
from gan.inference.translate_files import format_of, translate_files
from gan.sharing.demo import limits
from gan.sharing.demo.context import LONG, Context, answer
from gan.sharing.demo.generate import zipped
from gan.sharing.demo.shown import Shown
from gan.sharing.demo.uploads import IMAGES, find_files, target_of
from gan.sharing.provenance import fields_of
from gan.sharing.translations import translations

FORWARD, BACK = "to the target style", "back to photographs"
NO_PALETTE, FROM_TARGETS, FROM_FILE = "all colors", "colors of target images", "colors of a file"
MAX_PREVIEW = 1024  # pixels of a side in the before/after slider
MIN_TILE = 64


def translate_tab(shown: Shown, context: Context) -> None:
    both = hasattr(shown.model.network, "b2a")
    palettes = palettes_of(shown.model.config)
    pairs = gr.State([])
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Images, or a zip archive of images", file_count="multiple",
                             file_types=[*IMAGES, ".zip"], height=180)  # fmt: skip
            direction = gr.Radio([FORWARD, BACK], value=FORWARD, label="Direction", visible=both)
            strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", info="0 is the input, 1 the translation")
            with gr.Accordion("Pixel art", open=False):
                cell = gr.Slider(1, 64, 1, step=1, label="Cell size (pixels)", info="each cell has one color")
                palette = gr.Radio(palettes, value=NO_PALETTE, label="Palette")
                colors = gr.Slider(2, MAX_COLORS, 16, step=1, label="Colors to compute from target images",
                                   visible=FROM_TARGETS in palettes)  # fmt: skip
                palette_file = gr.File(label="An image or a text file with the colors", height=110)
            with gr.Accordion("Memory", open=False):
                tile = gr.Number(0, label="Tile size (pixels)", precision=0, info="0: as large as memory allows")
            with gr.Row():
                button = gr.Button("Translate", variant="primary", min_width=80)
                cancel = gr.Button("Cancel", min_width=80)
            download = gr.DownloadButton("Download", interactive=False)
        with gr.Column(scale=3):
            slider = gr.ImageSlider(label="Before and after", type="filepath", height=460, interactive=False,
                                    buttons=["fullscreen"])  # fmt: skip
            gallery = gr.Gallery(label="Translations", columns=6, height=260, object_fit="contain", interactive=False,
                                 allow_preview=False)  # fmt: skip
            said = gr.Markdown()

    @answer
    def translate(
        paths: Any,
        direction: Any,
        strength: Any,
        cell: Any,
        palette: Any,
        colors: Any,
        palette_file: Any,
        tile: Any,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008 Gradio finds the progress in this default
    ) -> Any:
        way = "a2b" if limits.choice("Direction", direction, (FORWARD, BACK)) == FORWARD else "b2a"
        weight = limits.number("Strength", strength, 0, 1)
        side = limits.whole("Cell size", cell, 1, limits.MAX_CELL)
        given = limits.choice("Palette", palette, palettes)
        number = limits.whole("Colors to compute from target images", colors, 2, MAX_COLORS)
        tiles = limits.whole("Tile size", tile or 0, 0, 4096)
        if 0 < tiles < MIN_TILE:
            raise UserError(f"Tile size {tiles}: give 0, or at least {MIN_TILE} pixels")
        if given != NO_PALETTE and weight < 1:
            raise UserError(f"a palette needs Strength 1; set Strength to 1, or Palette to {NO_PALETTE!r}")
        found = find_files(paths or [], context)
        network = select_direction(shown.name, shown.model.network, way)
        chosen = None
        if given == FROM_TARGETS:
            chosen = target_palette(shown.model.config, shown.path, way, number)
        elif given == FROM_FILE:
            chosen = palette_of(palette_file)
        function = NetworkFunction(network, shown.model.config["data"]["channels"], tiles or tile_for_memory(network))
        translator = ImageTranslator(function, weight, converter(side, chosen), chosen is not None)
        describe = translations(fields_of(network, shown.model.images), weight, side, way, chosen)
        with tempfile.TemporaryDirectory(dir=context.folder) as folder:
            taken: set[str] = set()
            todo = [(file, Path(folder, target_of(file, taken))) for file in found]
            with (
                context.job(request, progress, len(todo), "translating") as advance,
                context.isolated() as apart,
            ):
                failed, _ = translate_files(
                    todo, translator, False, None, limits.MAX_PIXELS, True, advance, apart, describe
                )
            done = [(file, target) for file, target in todo if target.exists()]
            files = {target.name: target.read_bytes() for _, target in done}
            shots = [
                (context.keep(preview(context, file), "before.png"), context.keep(files[target.name], target.name))
                if format_of(target) in ("PNG", "JPEG", "WEBP")
                else (context.keep(preview(context, file), "before.png"),
                      context.keep(preview(context, str(target)), "after.png"))
                for file, target in done
            ]  # fmt: skip
        if not done:
            raise UserError(f"no image could be translated: {public(failed[0], found)}")
        name, data = next(iter(files.items())) if len(files) == 1 else ("translations.zip", zipped(files))
        ready = gr.DownloadButton(f"Download {name}", value=context.keep(data, name), interactive=True)
        lines = [f"- {public(line, found)}" for line in failed[:20]]
        note = "\n".join([f"{len(failed)} of {len(todo)} files could not be translated:", *lines]) if failed else ""
        shown_names = [(after, Path(target).name) for (_, after), (_, target) in zip(shots, done, strict=True)]
        return shots[0], shown_names, shots, ready, note

    @answer
    def select(pairs: list[Any], event: gr.SelectData) -> Any:
        index = limits.whole("image", event.index, 0, max(0, len(pairs) - 1))
        return pairs[index] if pairs else None

    inputs = [upload, direction, strength, cell, palette, colors, palette_file, tile]
    button.click(
        translate, inputs, [slider, gallery, pairs, download, said], api_name=f"translate{shown.calls}",
        concurrency_id=LONG, concurrency_limit=1,
    )  # fmt: skip
    gallery.select(select, pairs, slider, api_visibility="private")
    cancel.click(context.cancel, api_visibility="private")


def palettes_of(config: Mapping[str, Any]) -> list[str]:
    """Return the choices of a palette. A shared model has no target images."""
    return [NO_PALETTE, *([FROM_TARGETS] if has_data(config) else []), FROM_FILE]


def palette_of(path: Any) -> np.ndarray:
    """Return the palette of an uploaded file."""
    if not path:
        raise UserError("Palette: upload an image or a text file with the colors")
    try:
        return read_palette(str(path))
    except UserError as error:
        raise UserError(str(error).replace(f"--palette {path}", Path(str(path)).name)) from error


def preview(context: Context, file: Any) -> bytes:
    """Return the first frame of an image file as a PNG of at most MAX_PREVIEW pixels a side."""
    if isinstance(file, str):
        pixels = context.apart(image_files.read_first, file, limits.MAX_PIXELS)
    else:
        pixels = context.apart(image_files.read_file, file, None, limits.MAX_PIXELS).images[0]
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_PREVIEW, MAX_PREVIEW))
    return encode(image, "PNG", {})


def public(line: str, found: Any) -> str:
    """Return a line about a file without the folder of the server in it."""
    for file in found:
        line = line.replace(file.shown, one_line(file.name)).replace(file.root, Path(file.root).name)
    return line.removesuffix("; set another limit with --max-pixels")
