"""The tabs Translate, Looks and Color map: images or a zip archive in, results of the same names and sizes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import torch
from torch import Tensor

from gan.data.looks import SUFFIXES
from gan.data.looks.fields import Parameter, parameters_of
from gan.data.looks.registry import FILTERS, STYLES
from gan.demo import calls
from gan.demo.calls import (
    FAST,
    LONG,
    PRIVATE,
    PROGRESS,
    Context,
    Controls,
    answer,
    image_upload,
    start_buttons,
)
from gan.demo.models import Fitted, PageModel
from gan.demo.pixel_art import add_pixel_art, read_pixel_art, strength_slider
from gan.demo.uploads import Results, decode_one, find_files, small_image, translated
from gan.export import tables
from gan.export.provenance import fields_of
from gan.export.record import translations
from gan.images.files import encode
from gan.models.loading import has_data, select_direction
from gan.networks.closed_form.choose import MIN_IMAGES, Choice, choose
from gan.networks.closed_form.fit import visible
from gan.settings import LOOK, SEED, TILE, Setting
from gan.translation.fitted_maps import FIT_SIZE, ClosedFormFunction, target_palette
from gan.translation.image_translator import ImageFunction, ImageTranslator, parse_look
from gan.translation.tiling import tile_for_memory
from gan.translation.translator import NetworkFunction
from gan.utils.errors import UserError

FORWARD, BACK = "to the target style", "back to photographs"
FROM_TARGETS = "colors of target images"
TABLE = "color table of a file"
FIRST = "film"
SAMPLE_SIDE = 320  # pixels of the images that show all looks
NO_POSITION = "*Position*: none"  # where a visitor disables the position
DECODING = {"size": FIT_SIZE, "channels": 4, "fit": "stretch"}
TABLE_SIZE = 33  # entries along each axis of the .cube file
NO_MAP = (
    f"Upload photographs and images in a style, {MIN_IMAGES} to {calls.MAX_FILES} each, or a zip archive of each. "
    "The images may show anything. Press *Fit the color map*, which takes seconds. Then translate other images."
)


def apply(
    context: Context,
    results: Results,
    given: SimpleNamespace,
    job: tuple[gr.Request, Any],
    function: ImageFunction,
    made_by: dict[str, Any],
    direction: str = "a2b",
    compute: Callable[[int], np.ndarray] | None = None,
) -> Any:
    """Return the values of `results.outputs` for the uploads of a call, changed by a function of images.

    Args:
        made_by: fields that name the function in the records.
        compute: returns a palette of a number of colors.
    """
    art = read_pixel_art(given, compute)
    seed = getattr(given, "seed", 0)
    translator = ImageTranslator(function, given.strength, art.converter(), art.palette is not None, seed)
    describe = translations(made_by, given.strength, art.cell, direction, art.palette, art.dither)
    return translated(context, results, given.paths, translator, describe, job)


def translate_tab(shown: PageModel, context: Context) -> None:
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            controls.add("paths", image_upload())
            controls.choice("direction", gr.Radio([FORWARD, BACK], value=FORWARD, label="Direction",
                                                  visible=hasattr(shown.model.network, "b2a")))  # fmt: skip
            strength_slider(controls, "the translation")
            with gr.Accordion("Pixel art", open=False):  # a shared model has no target images
                add_pixel_art(controls, FROM_TARGETS if has_data(shown.model.config) else None)
            with gr.Accordion("Memory", open=False):
                controls.number(TILE, gr.Number(None, label="Tile size (pixels)", precision=0,
                                                info="empty: as large as memory allows"))  # fmt: skip
            start = start_buttons("Translate", context)
        with gr.Column(scale=3):
            results = Results()

    @answer
    def translate(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given, model = controls.read(values), shown.model
        way = "a2b" if given.direction == FORWARD else "b2a"
        network = select_direction(shown.name, model.network, way)
        function = NetworkFunction(network, model.config["data"]["channels"], given.tile or tile_for_memory(network))

        def compute(number: int) -> np.ndarray:
            return target_palette(model.config, shown.path, way, number)

        made_by = fields_of(network, model.images)
        return apply(context, results, given, (request, progress), function, made_by, way, compute)

    start.click(translate, controls.inputs, results.outputs, api_name=f"translate{shown.calls}", **LONG)


def parameters(look: str) -> dict[str, Parameter]:
    """Return the parameters of a look by name; none for a color table."""
    filters = STYLES[look].filters if look in STYLES else ()
    return {name: parameter for each in filters for name, parameter in parameters_of(FILTERS[each]).items()}


MAX_PARAMETERS = max(len(parameters(look)) for look in STYLES)


def slider_options(look: str) -> list[dict[str, Any]]:
    """Return the options of MAX_PARAMETERS sliders for the parameters of a look. Those it does not need are hidden."""
    options = []
    for name, about in parameters(look).items():
        extent = about.high - about.low
        step = 1 if about.whole or extent > 20 else 0.05 if extent > 1 else 0.005
        options.append({"minimum": about.low, "maximum": about.high, "value": about.default, "label": name,
                        "info": about.about, "step": step, "visible": True})  # fmt: skip
    return options + [{"minimum": 0, "maximum": 1, "value": 0, "visible": False}] * (MAX_PARAMETERS - len(options))


def looks_tab(context: Context) -> None:
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = controls.add("paths", image_upload())
            every = gr.Button("Show all looks of the first image", size="sm")
            look = controls.choice("look", gr.Dropdown([*STYLES, TABLE], value=FIRST, label="Look",
                                                       info=STYLES[FIRST].about))  # fmt: skip
            table = controls.add("table", gr.File(label="A .cube file, or a HaldCLUT as .png", height=110,
                                                  file_types=[*SUFFIXES], visible=False))  # fmt: skip
            sliders = [controls.add(f"parameter{n}", gr.Slider(**options))
                       for n, options in enumerate(slider_options(FIRST))]  # fmt: skip
            controls.number(SEED.within(high=(1 << 32) - 1), gr.Number(0, label="Seed", precision=0,
                                                                       info="of grain and noise"))  # fmt: skip
            strength_slider(controls, "the look")
            with gr.Accordion("Pixel art", open=False):
                add_pixel_art(controls)
            start = start_buttons("Apply", context)
        with gr.Column(scale=3):
            results = Results()
            samples = gr.Gallery(label="All looks (click one to choose it)", columns=5, height=560, visible=False,
                                 object_fit="contain", interactive=False, allow_preview=False)  # fmt: skip

    @answer
    def change(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given = controls.read(values)
        chosen = look_of(given)
        made_by = {"look": chosen.recorded, "seed": given.seed or None}
        return apply(context, results, given, (request, progress), chosen, made_by)

    @answer
    def show_all(request: gr.Request, progress: Any = PROGRESS, paths: Any = None) -> Any:
        small = small_image(find_files(paths, context)[0], SAMPLE_SIDE, context)
        shown = []
        with context.job(request, progress, len(STYLES), "applying all looks") as advance:
            for name in STYLES:
                made = ImageTranslator(parse_look(LOOK + name))(small)
                shown.append((context.keep(encode(made.convert("RGB"), "PNG", {}), f"{name}.png"), name))
                advance(1)
        return gr.update(value=shown, visible=True)

    def configure(name: str) -> Any:
        about = STYLES[name].about if name in STYLES else "from another program, or from gan export"
        return [gr.update(info=about), gr.update(visible=name == TABLE),
                *(gr.update(**options) for options in slider_options(name))]  # fmt: skip

    def choose_look(event: gr.SelectData) -> Any:
        return [*STYLES][event.index]

    start.click(change, controls.inputs, results.outputs, api_name="look", **LONG)
    every.click(show_all, upload, samples, api_name="all_looks", **FAST)
    samples.select(answer(choose_look), None, look, **PRIVATE)
    look.change(answer(configure), look, [look, table, *sliders], **PRIVATE)


def look_of(given: SimpleNamespace) -> Any:
    """Return a look with the values of the sliders; or the color table of a file.

    Raises:
        UserError: a value is out of its range, or the file holds no color table.
    """
    if given.look != TABLE:
        values = {}
        for n, (name, about) in enumerate(parameters(given.look).items()):
            value = getattr(given, f"parameter{n}")
            setting = Setting(name, default=about.default, low=about.low, high=about.high)
            values[name] = about.default if value is None else setting.check(value, f"{name} ")
        return parse_look(LOOK + given.look, values)
    path = Path(str(given.table))
    if not given.table or path.suffix.lower() not in SUFFIXES:
        raise UserError("Look: upload a .cube file, or a HaldCLUT as .png")
    try:
        return parse_look(str(path))
    except UserError as error:
        raise UserError(str(error).replace(str(path), path.name)) from error


def color_map_tab(context: Context, fitted: Fitted | None) -> None:
    fitting, controls = Controls(), Controls()
    ready = fitted is not None
    state = gr.State(None)  # the choice of the visitor; None is that of --fit
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            fitting.add("photographs", image_upload("1. Photographs", 120))
            fitting.add("retro", image_upload("2. Images in the style", 120))
            fit_button = gr.Button("Fit the color map", variant="secondary" if ready else "primary")
            table = gr.DownloadButton("Download the color map (.cube)", interactive=ready,
                                      value=cube_of(context, fitted.choice) if fitted else None)  # fmt: skip
            controls.add("paths", image_upload("3. Images to translate", 120))
            controls.add("choice", state)
            strength_slider(controls, "the full map")
            with gr.Accordion("Pixel art", open=False):
                add_pixel_art(controls)
            start = start_buttons("Translate", context)
        with gr.Column(scale=3):
            about = gr.Markdown(f"{fitted.name}: {fitted.choice.describe(NO_POSITION)}" if fitted else NO_MAP)
            results = Results()

    @answer
    def fit(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given = fitting.read(values)
        photographs = images_of(context, given.photographs, "Photographs", (request, progress))
        retro = images_of(context, given.retro, "Images in the style", (request, progress))
        choice = choose(photographs, retro)
        return choice, choice.describe(NO_POSITION), gr.DownloadButton(value=cube_of(context, choice), interactive=True)

    @answer
    def translate(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> Any:
        given = controls.read(values)
        choice = given.choice or (fitted and fitted.choice)
        if choice is None:
            raise UserError("there is no color map yet: upload images in 1 and 2, then press Fit the color map")
        function = ClosedFormFunction(choice.color_map)
        return apply(context, results, given, (request, progress), function, {"closed_form": function.recorded})

    fit_button.click(fit, fitting.inputs, [state, about, table], api_name="fit", **LONG)
    start.click(translate, controls.inputs, results.outputs, api_name="map_colors", **LONG)


def images_of(context: Context, paths: Any, what: str, job: tuple[gr.Request, Any]) -> Tensor:
    """Return the images of uploads for a fit, uint8 (N, 4, FIT_SIZE, FIT_SIZE), premultiplied.

    Raises:
        UserError: an image cannot be read, or they are too few.
    """
    files, images = find_files(paths, context), []
    with context.job(*job, len(files), "reading images") as advance:
        for file in files:
            images.append(torch.from_numpy(decode_one(file, DECODING, context).pixels))
            advance(1)
    seen = visible(torch.stack(images))
    if len(seen) < MIN_IMAGES:
        raise UserError(f"{what}: {len(seen)} images are too few; upload at least {MIN_IMAGES}")
    return seen


def cube_of(context: Context, choice: Choice) -> str:
    """Return the path of a .cube file with a color map."""
    table = tables.of_color_map(choice.color_map, TABLE_SIZE, "color_map")
    return context.keep(tables.encode(table, "cube"), f"{table.name}.cube")
