"""The tabs Generate and Interpolate: the files of `gan generate` and `gan interpolate`, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from gan.demo import calls
from gan.demo.calls import FAST, LONG, PRIVATE, PROGRESS, Context, Controls, answer, start_buttons, zipped
from gan.demo.models import ANY, PageModel
from gan.images import video
from gan.images.convert import grid, to_png
from gan.records.provenance import from_seeds, records_of
from gan.records.record import compact


def class_choice(controls: Controls, shown: PageModel, info: str = "any: depends on the seed") -> Any:
    """Add the choice of a class; hidden for a generator without classes."""
    classes = shown.model.classes
    return controls.add("label", gr.Dropdown([ANY, *classes], value=ANY, label="Class", info=info,
                                             visible=bool(classes)), shown.label)  # fmt: skip


def truncation_slider(controls: Controls, visible: bool = True, **options: Any) -> None:
    slider = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation", visible=visible, **options)
    controls.number(calls.TRUNCATION, slider)


def generate_tab(shown: PageModel, context: Context, opened: object) -> None:
    """Add the tab's content. `opened` is the event that shows it first."""
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            seeds = controls.seeds("0-15", f"such as 0-15,42; at most {calls.MAX_IMAGES}", calls.MAX_IMAGES)
            class_choice(controls, shown)
            truncation_slider(controls, shown.space.name == "w", info="below 1: more typical, less varied")
            controls.add("with_grid", gr.Checkbox(label="Also all images as one grid"))
            with gr.Row():
                button = gr.Button("Generate", variant="primary", min_width=80)
                following = gr.Button("Next seeds", min_width=80)
            download = gr.DownloadButton("Download all (zip)", interactive=False)
        with gr.Column(scale=3):
            gallery = gr.Gallery(label="Images", columns=6, height=620, object_fit="contain", format="png",
                                 elem_classes="pixels", interactive=False)  # fmt: skip

    @answer
    def generate(*values: object) -> Any:
        files = images_of(shown, controls.read(values))
        paths = [(context.keep(data, name), name.removesuffix(".png")) for name, data in files.items()]
        return paths, gr.DownloadButton(value=context.keep(zipped(files), "images.zip"), interactive=True)

    @answer
    def next_seeds(text: object) -> str:
        last = max(controls.checks["seeds"](text))
        return f"{last + 1}-{last + 16}"

    call: dict[str, Any] = {"fn": generate, "inputs": controls.inputs, "outputs": [gallery, download], **FAST}
    gr.on([button.click, seeds.submit, opened], **call, api_name=f"generate{shown.calls}")
    following.click(next_seeds, seeds, seeds, **PRIVATE).then(**call, api_visibility="private")


def images_of(shown: PageModel, given: SimpleNamespace) -> dict[str, bytes]:
    """Return the PNG files of `gan generate` by name."""
    model, seeds = shown.model, given.seeds
    calls.check_pixels(len(seeds), *model.shape[1:])
    images = model.generate(seeds, given.truncation, given.label).pixels
    described = from_seeds(model, seeds, given.label, truncation=given.truncation)
    files = {f"{seed}.png": to_png(image, described.image(image, n))
             for n, (seed, image) in enumerate(zip(seeds, images, strict=True))}  # fmt: skip
    if given.with_grid:
        sheet = grid(images)
        files = {"grid.png": to_png(sheet, described.grid(sheet))} | files
    return files


def interpolate_tab(shown: PageModel, context: Context) -> None:
    controls = Controls()
    scale = min(16, max(1, 256 // max(shown.model.shape[1:])))  # to about 256 pixels
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            controls.seeds("0-3", "at least two, as in 0-3,7", calls.MAX_IMAGES, twice=True)
            class_choice(controls, shown)
            controls.number(calls.FRAMES, gr.Slider(2, 120, 20, step=1, label="Frames per pair of images"))
            controls.number(calls.FPS, gr.Slider(1, 50, 20, step=1, label="Frames per second"))
            controls.add("loop", gr.Checkbox(True, label="Return to the first image"))
            truncation_slider(controls, shown.space.name == "w")
            button = start_buttons("Interpolate", context)
        with gr.Column(scale=2):
            image = gr.Image(label="Animation", type="filepath", height=460, interactive=False,
                             elem_classes="pixels", buttons=["download", "fullscreen"])  # fmt: skip

    @answer
    def interpolate(request: gr.Request, progress: gr.Progress = PROGRESS, *values: object) -> str:
        given, model = controls.read(values), shown.model
        loop = bool(given.loop)
        total = given.frames * (len(given.seeds) if loop else len(given.seeds) - 1) + (not loop)
        calls.check_pixels(total, *(side * scale for side in model.shape[1:]))
        options = {"class": given.label, "truncation": given.truncation, "frames": given.frames, "fps": given.fps}
        options |= {"kind": "interpolation", "seeds": compact(given.seeds), "loop": loop, "scale": scale}
        text = records_of(model, **options).text()
        with context.job(request, progress, total, "generating frames") as advance:
            length = given.frames, loop
            frames = model.interpolate(given.seeds, *length, "", given.truncation, given.label, advance)
        with tempfile.TemporaryDirectory(dir=context.folder) as folder:
            path = Path(folder, "interpolation.gif")
            video.save(frames.pixels, path, given.fps, scale, text)
            return context.keep(path.read_bytes(), path.name)

    button.click(interpolate, controls.inputs, image, api_name=f"interpolate{shown.calls}", **LONG)
