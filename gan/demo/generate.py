"""The tabs Generate and Interpolate: the files of `gan generate` and `gan interpolate`, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from gan.demo import limits
from gan.demo.calls import FAST, LONG, PRIVATE, PROGRESS, Context, Controls, answer, start_buttons, zipped
from gan.demo.models import ANY, PageModel
from gan.editing.space import grid_of
from gan.export.provenance import Described, Origin, from_seeds, generated, interpolation
from gan.export.record import compact
from gan.images import video
from gan.images.convert import grid, to_png
from gan.utils.errors import UserError

FORMATS = ("GIF", "WebP")


def class_choice(controls: Controls, shown: PageModel, info: str = "any: depends on the seed") -> Any:
    """Add the choice of a class; hidden for a generator without classes."""
    classes = shown.model.classes
    return controls.add("label", gr.Dropdown([ANY, *classes], value=ANY, label="Class", info=info,
                                             visible=bool(classes)), shown.label)  # fmt: skip


def truncation_slider(controls: Controls, visible: bool = True, **options: Any) -> None:
    slider = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation", visible=visible, **options)
    controls.number(limits.TRUNCATION, slider)


def generate_tab(shown: PageModel, context: Context, opened: Any) -> None:
    """Add the tab's content. `opened` is the event that shows it first."""
    controls, multiple = Controls(), multiple_of(shown.model)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            seeds = controls.seeds("0-15", f"such as 0-15,42; at most {limits.MAX_IMAGES}", limits.MAX_IMAGES)
            class_choice(controls, shown)
            truncation_slider(controls, shown.space.name == "w", info="below 1: more typical, less varied")
            with gr.Row(visible=multiple > 0):
                for name, side in zip(("height", "width"), shown.model.shape[1:], strict=True):
                    controls.number(limits.SIDE, gr.Number(side, label=name.title(), precision=0, min_width=80,
                                                           info=f"multiple of {multiple}"), name)  # fmt: skip
            controls.add("with_grid", gr.Checkbox(label="Also all images as one grid"))
            with gr.Row():
                button = gr.Button("Generate", variant="primary", min_width=80)
                following = gr.Button("Next seeds", min_width=80)
            download = gr.DownloadButton("Download all (zip)", interactive=False)
        with gr.Column(scale=3):
            gallery = gr.Gallery(label="Images", columns=6, height=620, object_fit="contain", format="png",
                                 elem_classes="pixels", interactive=False)  # fmt: skip

    @answer
    def generate(*values: Any) -> Any:
        files = images_of(shown, controls.read(values))
        paths = [(context.keep(data, name), name.removesuffix(".png")) for name, data in files.items()]
        return paths, gr.DownloadButton(value=context.keep(zipped(files), "images.zip"), interactive=True)

    @answer
    def next_seeds(text: Any) -> str:
        last = max(controls.checks["seeds"](text))
        return f"{last + 1}-{last + 16}"

    call: dict[str, Any] = {"fn": generate, "inputs": controls.inputs, "outputs": [gallery, download], **FAST}
    gr.on([button.click, seeds.submit, opened], **call, api_name=f"generate{shown.calls}")
    following.click(next_seeds, seeds, seeds, **PRIVATE).then(**call, api_visibility="private")


def images_of(shown: PageModel, given: SimpleNamespace) -> dict[str, bytes]:
    """Return PNG files by name: those of `gan generate`, or of `gan edit --size` if the size is not that of training.

    Raises:
        UserError: the images are too large, or the generator cannot generate them.
    """
    model, seeds, size = shown.model, given.seeds, (given.height, given.width)
    _, height, width = model.shape
    limits.check_pixels(len(seeds), *size)
    if size == (height, width):
        images, origin = model.generate(seeds, given.truncation, given.label).pixels, generated(model, given.truncation)
    elif given.truncation != 1:
        raise UserError(f"Truncation {given.truncation:g}: only works at the training size, Height {height} and Width "
                        f"{width}; set Truncation to 1")  # fmt: skip
    elif size[0] * size[1] > limits.MAX_ENLARGEMENT * height * width:
        raise UserError(f"{size[1]}x{size[0]} pixels are more than {limits.MAX_ENLARGEMENT} times those of the "
                        f"training size, {width}x{height}; give a smaller Height or Width")  # fmt: skip
    else:
        images = model.synthesize(model.latents(seeds, given.label), size=size).pixels
        origin = Origin(model.generator, model.images, size=list(size))
    described = from_seeds(model, origin, seeds, given.label)
    files = {f"{seed}.png": to_png(image, described.image(image, n))
             for n, (seed, image) in enumerate(zip(seeds, images, strict=True))}  # fmt: skip
    if given.with_grid:
        sheet = grid(images)
        files = {"grid.png": to_png(sheet, Described(origin, (), given.label, seeds).grid(sheet))} | files
    return files


def multiple_of(model: Any) -> int:
    """Return the number of pixels that must divide each side; 0 if the generator has one size only."""
    try:
        return grid_of(model.generator)[1]
    except UserError:
        return 0


def interpolate_tab(shown: PageModel, context: Context) -> None:
    controls, spaces = Controls(), ["w", "z"] if shown.space.name == "w" else ["z"]
    size = max(shown.model.shape[1:])
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            controls.seeds("0-3", "at least two, as in 0-3,7", limits.MAX_IMAGES, twice=True)
            class_choice(controls, shown)
            controls.number(limits.FRAMES, gr.Slider(2, 120, 20, step=1, label="Frames per pair of images"))
            controls.number(limits.FPS, gr.Slider(1, 50, 20, step=1, label="Frames per second"))
            controls.add("loop", gr.Checkbox(True, label="Return to the first image"))
            with gr.Accordion("More", open=False):
                controls.choice("space", gr.Radio(spaces, value=spaces[0], label="Latent space",
                                                  visible=len(spaces) > 1))  # fmt: skip
                truncation_slider(controls, len(spaces) > 1)
                controls.number(limits.SCALE, gr.Slider(1, limits.SCALE.high, min(16, max(1, 256 // size)), step=1,
                                                        label="Enlarge"))  # fmt: skip
                controls.choice("format", gr.Radio(list(FORMATS), value=FORMATS[0], label="Format"))
            button = start_buttons("Interpolate", context)
        with gr.Column(scale=2):
            image = gr.Image(label="Animation", type="filepath", height=460, interactive=False,
                             elem_classes="pixels", buttons=["download", "fullscreen"])  # fmt: skip

    @answer
    def interpolate(request: gr.Request, progress: Any = PROGRESS, *values: Any) -> str:
        given, model = controls.read(values), shown.model
        loop = bool(given.loop)
        total = given.frames * (len(given.seeds) if loop else len(given.seeds) - 1) + (not loop)
        if total > limits.MAX_FRAMES:
            raise UserError(f"{total:,} frames are more than {limits.MAX_FRAMES}; give fewer seeds or fewer frames per "
                            "pair")  # fmt: skip
        limits.check_pixels(total, *(side * given.scale for side in model.shape[1:]))
        space = "" if given.space == shown.space.name else given.space
        fields = interpolation(shown.space.name, given.label, given.truncation, space, given.frames, loop, given.fps,
                               given.scale)  # fmt: skip
        text = Origin(model.generator, model.images, **fields, seeds=compact(given.seeds)).text()
        with context.job(request, progress, total, "generating frames") as advance:
            frames = model.interpolate(given.seeds, given.frames, loop, space, given.truncation, given.label, advance)
        with tempfile.TemporaryDirectory(dir=context.folder) as folder:
            path = Path(folder, f"interpolation.{given.format.lower()}")
            video.save(frames.pixels, path, given.fps, given.scale, text)
            return context.keep(path.read_bytes(), path.name)

    button.click(interpolate, controls.inputs, image, api_name=f"interpolate{shown.calls}", **LONG)
