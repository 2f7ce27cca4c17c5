"""The tabs Translate and Looks: images or a zip archive in, results of the same names and sizes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from gan import kinds, settings
from gan.demo import calls
from gan.demo.calls import FAST, LONG, PRIVATE, PROGRESS, Context, Controls, answer, image_upload, start_buttons
from gan.demo.models import PageModel
from gan.demo.uploads import Results, find_files, small_image
from gan.images.files import encode
from gan.looks import LOOK
from gan.looks.fields import Parameter, parameters_of
from gan.looks.registry import FILTERS, STYLES
from gan.models.loading import select_direction
from gan.pixel_art.cells import PixelArt
from gan.pixel_art.palettes import read_palette
from gan.records.provenance import fields_of
from gan.records.record import Records
from gan.settings import AUTOCONTRAST, DITHER, SEED, Setting
from gan.translation.image_translator import ImageFunction, ImageTranslator, parse_look
from gan.translation.tiling import tile_for_memory
from gan.translation.translator import NetworkFunction
from gan.utils.colors import COLORS
from gan.utils.errors import UserError

NO_PALETTE = "all colors"
FORWARD, BACK = "to the target style", "back to photographs"
FIRST = "film"
SAMPLE_SIDE = 320  # pixels of the images that show all looks
SMALL_SIDE = 512  # pixels of the image that follows the slider of the strength
NO_IMAGE = "Upload images or a zip archive first."


# ---- what both tabs have


def last_controls(controls: Controls, full: str, verb: str, context: Context) -> tuple[Any, Any]:
    """Add the strength, the options for pixel art and the button to start; return the slider and the button."""
    slider = gr.Slider(0, 2, 1, step=0.05, label="Strength", info=f"0 is the input, 1 {full}")
    strength = controls.number(settings.STRENGTH, slider)
    with gr.Accordion("Pixel art", open=False):
        controls.number(calls.CELL, gr.Slider(1, 64, 1, step=1, label="Cell size (pixels)",
                                               info="each cell has one color"))  # fmt: skip
        controls.choice("palette", gr.Dropdown([NO_PALETTE, *COLORS], value=NO_PALETTE, label="Palette"))
        controls.choice("dither", gr.Dropdown(list(DITHER.words), value=DITHER.default, label="Dithering",
                                              info="mixes the colors of a palette"))  # fmt: skip
        controls.choice("autocontrast", gr.Dropdown(list(AUTOCONTRAST.words), value=AUTOCONTRAST.default,
                                                    label="Autocontrast", info="before the colors become those of a "
                                                    "palette; auto: if it has one hue"))  # fmt: skip
    return strength, start_buttons(verb, context)


def palette_of(given: SimpleNamespace) -> np.ndarray | None:
    """Return the palette of a call, uint8 (K, 3) or None; raise UserError if other values contradict it."""
    palette = None if given.palette == NO_PALETTE else read_palette(given.palette)
    if palette is None and given.dither != DITHER.default:
        raise UserError(f"Dithering {given.dither}: needs a palette; choose a Palette, or no dithering")
    if palette is not None and given.strength != 1:
        raise UserError(f"a palette needs Strength 1; set Strength to 1, or Palette to {NO_PALETTE!r}")
    return palette


@dataclass
class Tab:
    """Changes the uploads of a tab, and lets a slider `strength` act on the results.

    While the slider is dragged, a small copy of the shown image follows it. After its release, all uploads are changed
    again, because the files to download have the same strength.

    Args:
        function_of: returns the function of images that the values of the tab select, and its fields in the records.
    """

    controls: Controls
    results: Results
    function_of: Callable[[SimpleNamespace], tuple[ImageFunction, dict[str, Any]]]

    def connect(self, strength: Any, start: Any, api_name: str) -> None:
        shown, inputs, outputs = self.results.shown, self.controls.inputs, self.results.outputs
        copies = gr.State(None)  # what `small_copies` returned, after the values on which it depends
        newest: dict[str, Any] = {"trigger_mode": "always_last", "api_visibility": "private"}
        start.click(self.change, inputs, outputs, api_name=api_name, **LONG)
        strength.release(self.change_again, [shown, *inputs], outputs, **newest, **LONG)
        moved = [self.results.slider, copies]
        strength.input(self.follow, [shown, copies, *inputs], moved, show_progress="hidden", **newest, **FAST)

    def translator(self, given: SimpleNamespace) -> tuple[ImageTranslator, Records]:
        function, made_by = self.function_of(given)
        palette, seed = palette_of(given), vars(given).get("seed", 0)
        art = given.cell, palette, given.dither, given.autocontrast
        pixel_art = None if given.cell == 1 and palette is None else PixelArt(*art)
        said = {name: vars(given)[name] for name in ("strength", "cell", "dither", "autocontrast")}
        translator = ImageTranslator(function, given.strength, pixel_art, palette is not None, seed)
        return translator, Records(palette, **made_by, **said)

    @answer
    def change(self, request: gr.Request, progress: gr.Progress = PROGRESS, *values: object) -> Any:
        given = self.controls.read(values)
        if not given.paths:
            return self.results.say(NO_IMAGE)
        translator, records = self.translator(given)
        return self.results.change(given.paths, translator, records.translation, (request, progress))

    def change_again(
        self, request: gr.Request, progress: gr.Progress = PROGRESS, shown: Any = None, *values: object
    ) -> Any:
        return self.change(request, progress, *values) if shown else [gr.skip() for _ in self.results.outputs]

    @answer
    def follow(self, shown: Any, copies: Any, *values: object) -> Any:
        """Return small copies of the shown image before and after, and the copies to keep for the next strength."""
        if not shown:
            return gr.skip(), gr.skip()
        (pairs, index, applied), given = shown, self.controls.read(values)
        strength, given.strength = given.strength, 1.0
        if strength == applied:  # also if the call after the release was faster
            return pairs[index], copies
        key: Any = pairs[index], vars(given)
        if copies is None or copies[0] != key:
            copies = key, *self.small_copies(pairs[index][0], given)
        _, before, after = copies
        pair = [encode(image, "PNG", {"compress_level": 1}) for image in (before, Image.blend(before, after, strength))]
        return tuple(self.results.context.keep(data, "small.png") for data in pair), copies

    def small_copies(self, path: str, given: SimpleNamespace) -> tuple[Image.Image, Image.Image]:
        """Return small copies of an image that the page has written, without and with the full change."""
        translator, _ = self.translator(given)
        side = SMALL_SIDE // translator.function.enlargement
        with Image.open(path) as image:
            image.thumbnail((side, side))
            after = translator(image)
            return image.resize(after.size), after


def translate_tab(shown: PageModel, context: Context) -> None:
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            controls.add("paths", image_upload())
            controls.choice("direction", gr.Radio([FORWARD, BACK], value=FORWARD, label="Direction",
                                                  visible=len(kinds.directions(shown.model.network)) > 1))  # fmt: skip
            strength, start = last_controls(controls, "the translation", "Translate", context)
        with gr.Column(scale=3):
            results = Results(context)

    def function_of(given: SimpleNamespace) -> tuple[ImageFunction, dict[str, Any]]:
        model, way = shown.model, "a2b" if given.direction == FORWARD else "b2a"
        network = select_direction(shown.name, model.network, way)
        function = NetworkFunction(network, model.config["data"]["channels"], tile_for_memory(network))
        return function, fields_of(network, model.images) | {"direction": way}

    Tab(controls, results, function_of).connect(strength, start, f"translate{shown.calls}")


def parameters(look: str) -> dict[str, Parameter]:
    filters = [parameters_of(FILTERS[each]) for each in STYLES[look].filters]
    return {name: parameter for of_one in filters for name, parameter in of_one.items()}


MAX_PARAMETERS = max(len(parameters(look)) for look in STYLES)


def slider_options(look: str) -> list[dict[str, Any]]:
    """Return the options of MAX_PARAMETERS sliders for the parameters of a look. Those it does not need are hidden."""
    options = []
    for name, about in parameters(look).items():
        extent = about.high - about.low
        step = 1 if about.whole or extent > 20 else 0.05 if extent > 1 else 0.005
        options.append({"minimum": about.low, "maximum": about.high, "value": about.default, "label": name,
                        "info": about.help, "step": step, "visible": True})  # fmt: skip
    return options + [{"minimum": 0, "maximum": 1, "value": 0, "visible": False}] * (MAX_PARAMETERS - len(options))


def looks_tab(context: Context) -> None:
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = controls.add("paths", image_upload())
            every = gr.Button("Show all looks of the first image", size="sm")
            look = controls.choice("look", gr.Dropdown([*STYLES], value=FIRST, label="Look",
                                                       info=STYLES[FIRST].about))  # fmt: skip
            sliders = [controls.add(f"parameter{n}", gr.Slider(**options))
                       for n, options in enumerate(slider_options(FIRST))]  # fmt: skip
            controls.number(SEED.within(high=(1 << 32) - 1), gr.Number(0, label="Seed", precision=0,
                                                                       info="of grain and noise"))  # fmt: skip
            strength, start = last_controls(controls, "the look", "Apply", context)
        with gr.Column(scale=3):
            results = Results(context)
            samples = gr.Gallery(label="All looks (click one to choose it)", columns=5, height=560, visible=False,
                                 object_fit="contain", interactive=False, allow_preview=False)  # fmt: skip

    def function_of(given: SimpleNamespace) -> tuple[ImageFunction, dict[str, Any]]:
        chosen = look_of(given)
        return chosen, {"look": chosen.recorded, "seed": given.seed or None}

    @answer
    def show_all(request: gr.Request, progress: gr.Progress = PROGRESS, paths: Any = None) -> Any:
        small = small_image(find_files(paths, context)[0], SAMPLE_SIDE, context)
        shown = []
        with context.job(request, progress, len(STYLES), "applying all looks") as advance:
            for name in STYLES:
                made = ImageTranslator(parse_look(LOOK + name))(small)
                shown.append((context.keep(encode(made.convert("RGB"), "PNG", {}), f"{name}.png"), name))
                advance(1)
        return gr.update(value=shown, visible=True)

    def configure(name: str) -> Any:
        return [gr.update(info=STYLES[name].about), *(gr.update(**options) for options in slider_options(name))]

    def choose_look(event: gr.SelectData) -> Any:
        return [*STYLES][event.index]

    Tab(controls, results, function_of).connect(strength, start, "look")
    every.click(show_all, upload, samples, api_name="all_looks", **FAST)
    samples.select(answer(choose_look), None, look, **PRIVATE)
    look.change(answer(configure), look, [look, *sliders], **PRIVATE)


def look_of(given: SimpleNamespace) -> Any:
    """Return a look with the values of the sliders; raise UserError if a value is out of its range."""
    values = {}
    for n, (name, about) in enumerate(parameters(given.look).items()):
        value = vars(given)[f"parameter{n}"]
        setting = Setting(name, default=about.default, low=about.low, high=about.high)
        values[name] = about.default if value is None else setting.check(value, f"{name} ")
    return parse_look(LOOK + given.look, values)
