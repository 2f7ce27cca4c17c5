"""The tab Looks: filters without a network, or a color table from a file, with their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from gan.common.errors import UserError
from gan.data.styles import SUFFIXES
from gan.data.styles.registry import FILTERS, STYLES
from gan.data.styles.settings import Parameter, parameters_of
from gan.images.files import encode
from gan.images.files import read_file as read_image
from gan.inference.image_translator import ImageTranslator, Look, parse_look
from gan.settings import LOOK as PREFIX
from gan.sharing.demo import limits
from gan.sharing.demo.context import FAST, LONG, PROGRESS, Context, answer
from gan.sharing.demo.controls import buttons, check_blending, image_upload, strength_slider
from gan.sharing.demo.pixel_options import PixelOptions
from gan.sharing.demo.results import Results, translated
from gan.sharing.demo.uploads import find_files
from gan.sharing.translations import translations

TABLE = "color table of a file"
FIRST = "film"
SAMPLE_SIDE = 320  # pixels of the images that show all looks


def parameters(look: str) -> dict[str, Parameter]:
    """Return the parameters of a look by name; none for a color table."""
    filters = STYLES[look].filters if look in STYLES else ()
    return {name: about for each in filters for name, about in parameters_of(FILTERS[each]).items()}


MAX_PARAMETERS = max(len(parameters(look)) for look in STYLES)


def looks_tab(context: Context) -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = image_upload()
            every = gr.Button("Show all looks of the first image", size="sm")
            look = gr.Dropdown([*STYLES, TABLE], value=FIRST, label="Look", info=STYLES[FIRST].about)
            table = gr.File(label="A .cube file, or a HaldCLUT as .png", file_types=[*SUFFIXES], height=110,
                            visible=False)  # fmt: skip
            sliders = [gr.Slider(**each) for each in slider_options(FIRST)]
            seed = gr.Number(0, label="Seed", precision=0, info="of grain and noise")
            strength = strength_slider("the look")
            with gr.Accordion("Pixel art", open=False):
                pixels = PixelOptions()
            start, cancel, download = buttons("Apply")
        with gr.Column(scale=3):
            results = Results()
            samples = gr.Gallery(label="All looks (click one to choose it)", columns=5, height=560, visible=False,
                                 object_fit="contain", interactive=False, allow_preview=False)  # fmt: skip

    @answer
    def apply(request: gr.Request, progress: Any = PROGRESS, *given: Any) -> Any:
        paths, name, file, *rest = given
        settings, (number, share), values = rest[:MAX_PARAMETERS], rest[MAX_PARAMETERS:][:2], rest[MAX_PARAMETERS + 2 :]
        chosen = look_of(limits.choice("Look", name, [*STYLES, TABLE]), file, settings)
        first = limits.whole("Seed", number or 0, 0, (1 << 32) - 1)
        weight, art = limits.number("Strength", share, 0, 1), pixels.read(values)
        check_blending(weight, art)
        translator = ImageTranslator(chosen, weight, art.converter(), art.palette is not None, first)
        made_by = {"look": chosen.recorded, "seed": first or None}
        describe = translations(made_by, weight, art.cell, palette=art.palette, dither=art.dither)
        return translated(context, results, paths, translator, describe, (request, progress, "applying the look"))

    @answer
    def show_all(request: gr.Request, progress: Any = PROGRESS, paths: Any = None) -> Any:
        small = first_image(context, paths)
        shown = []
        with context.job(request, progress, len(STYLES), "applying all looks") as advance:
            for name in STYLES:
                made = ImageTranslator(parse_look(PREFIX + name))(small)
                shown.append((context.keep(encode(made.convert("RGB"), "PNG", {}), f"{name}.png"), name))
                advance(1)
        return gr.update(value=shown, visible=True)

    @answer
    def configure(name: Any) -> Any:
        chosen = limits.choice("Look", name, [*STYLES, TABLE])
        about = STYLES[chosen].about if chosen in STYLES else "from another program, or from gan export"
        return [gr.update(info=about), gr.update(visible=chosen == TABLE),
                *(gr.update(**each) for each in slider_options(chosen))]  # fmt: skip

    @answer
    def choose(event: gr.SelectData) -> Any:
        return [*STYLES][limits.whole("look", event.index, 0, len(STYLES) - 1)]

    start.click(
        apply, [upload, look, table, *sliders, seed, strength, *pixels.inputs], results.outputs(download),
        api_name="look", concurrency_id=LONG, concurrency_limit=1,
    )  # fmt: skip
    every.click(show_all, upload, samples, api_name="all_looks", concurrency_id=FAST, concurrency_limit=1)
    samples.select(choose, None, look, api_visibility="private")
    look.change(configure, look, [look, table, *sliders], show_progress="hidden", api_visibility="private")
    cancel.click(context.cancel, api_visibility="private")


def slider_options(look: str) -> list[dict[str, Any]]:
    """Return the options of MAX_PARAMETERS sliders for the parameters of a look. Those it does not need are hidden."""
    known = parameters(look)
    shown = [
        {"minimum": about.low, "maximum": about.high, "value": about.default, "label": name, "info": about.about,
         "step": step_of(about), "visible": True}
        for name, about in known.items()
    ]  # fmt: skip
    return shown + [{"minimum": 0, "maximum": 1, "value": 0, "visible": False}] * (MAX_PARAMETERS - len(known))


def step_of(about: Parameter) -> float:
    """Return the step of the slider of a parameter."""
    extent = about.high - about.low
    return 1 if about.whole or extent > 20 else 0.05 if extent > 1 else 0.005


def look_of(name: str, file: Any, settings: Sequence[Any]) -> Look:
    """Return a look with the values of the sliders; or the color table of a file.

    Raises:
        UserError: a value is out of its range, or the file holds no color table.
    """
    if name != TABLE:
        known = parameters(name)
        given = {
            each: about.default if value is None else limits.number(each, value, about.low, about.high)
            for (each, about), value in zip(known.items(), settings, strict=False)
        }
        return parse_look(PREFIX + name, given)
    if not file:
        raise UserError("Look: upload a .cube file, or a HaldCLUT as .png")
    path = Path(str(file))
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path.name}: give a .cube file, or a HaldCLUT as .png")
    try:
        return parse_look(str(path))
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from error


def first_image(context: Context, paths: Any) -> Image.Image:
    """Return the first frame of the first upload, with at most SAMPLE_SIDE pixels a side."""
    (first,) = find_files(paths or [], context)[:1]
    contents = context.apart(read_image, first, None, limits.MAX_PIXELS)
    image = Image.fromarray(np.asarray(contents.images[0]))
    image.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE))
    return image
