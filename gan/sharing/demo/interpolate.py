"""The tab Interpolate: an animation from seed to seed, as `gan interpolate` makes it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from gan.common.errors import UserError
from gan.images import video
from gan.sharing.demo import limits
from gan.sharing.demo.context import LONG, Context, answer
from gan.sharing.demo.generate import class_choice
from gan.sharing.demo.shown import Shown
from gan.sharing.provenance import Origin, interpolation
from gan.sharing.record import compact

FORMATS = ("GIF", "WebP")


def interpolate_tab(shown: Shown, context: Context) -> None:
    model = shown.model
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            seeds = gr.Textbox("0-3", label="Seeds", info="at least two, as in 0-3,7")
            label = class_choice(shown)
            frames = gr.Slider(2, 120, 20, step=1, label="Frames per pair of images")
            fps = gr.Slider(1, 50, 20, step=1, label="Frames per second")
            loop = gr.Checkbox(True, label="Return to the first image")
            with gr.Accordion("More", open=False):
                spaces = ["w", "z"] if shown.space.name == "w" else ["z"]
                space = gr.Radio(spaces, value=spaces[0], label="Latent space", visible=len(spaces) > 1)
                truncation = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation", visible=len(spaces) > 1)
                scale = gr.Slider(1, limits.MAX_SCALE, default_scale(model), step=1, label="Enlarge")
                form = gr.Radio(list(FORMATS), value=FORMATS[0], label="Format")
            with gr.Row():
                button = gr.Button("Interpolate", variant="primary", min_width=80)
                cancel = gr.Button("Cancel", min_width=80)
        with gr.Column(scale=2):
            image = gr.Image(label="Animation", type="filepath", height=460, interactive=False,
                             elem_classes="pixels", buttons=["download", "fullscreen"])  # fmt: skip

    @answer
    def interpolate(
        seeds: Any,
        label: Any,
        frames: Any,
        fps: Any,
        loop: Any,
        space: Any,
        truncation: Any,
        scale: Any,
        form: Any,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008 Gradio finds the progress in this default
    ) -> str:
        numbers, chosen = limits.seed_list(seeds), shown.label(label)
        if len(numbers) < 2:
            raise UserError("seeds: give at least two, as in 0-3")
        steps = limits.whole("frames", frames, 1, limits.MAX_FRAMES)
        total = steps * (len(numbers) if loop else len(numbers) - 1) + (not loop)
        if total > limits.MAX_FRAMES:
            raise UserError(f"{total:,} frames are more than {limits.MAX_FRAMES}; give fewer seeds or fewer frames per "
                            "pair")  # fmt: skip
        rate, size = limits.number("fps", fps, 0.1, 60), limits.whole("enlarge", scale, 1, limits.MAX_SCALE)
        _, height, width = shown.model.shape
        limits.pixels(total, height * size, width * size, "frames", "set 'Enlarge' lower, or give fewer frames")
        psi = limits.number("truncation", truncation, -2, 2)
        place = limits.choice("space", space, ("z", "w"))
        suffix = "." + limits.choice("format", form, FORMATS).lower()
        given = "" if place == shown.space.name else place
        fields = interpolation(shown.space.name, chosen, psi, given, steps, bool(loop), rate, size)
        fields["seeds"] = compact(numbers)
        with context.job(request, progress, total, "generating frames") as advance:
            found = shown.model.interpolate(numbers, steps, bool(loop), given, psi, chosen, advance)
        text = Origin(shown.model.generator, shown.model.images, **fields).text()
        with tempfile.TemporaryDirectory(dir=context.folder) as folder:
            path = Path(folder, "interpolation" + suffix)
            video.save(found.pixels, path, rate, size, text)
            return context.keep(path.read_bytes(), path.name)

    inputs = [seeds, label, frames, fps, loop, space, truncation, scale, form]
    button.click(
        interpolate, inputs, image, api_name=f"interpolate{shown.calls}", concurrency_id=LONG, concurrency_limit=1
    )
    cancel.click(context.cancel, api_visibility="private")


def default_scale(model: Any) -> int:
    """Return the factor that makes small images about 256 pixels large."""
    return max(1, min(limits.MAX_SCALE, 256 // max(model.shape[1:])))
