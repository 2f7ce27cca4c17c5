"""The tabs Edit and Your image: sliders that edit the latent of a seed, or that of an uploaded image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import gradio as gr
import torch
from torch import Tensor

from gan.data.sources.files import SUFFIXES
from gan.demo.calls import CHANGE, FAST, LONG, PRIVATE, PROGRESS, Context, Controls, answer, start_buttons
from gan.demo.generate import class_choice
from gan.demo.models import PageModel
from gan.demo.uploads import decode_one, find_files
from gan.editing.attributes import POSITIONS, SHIFT, ZOOM
from gan.editing.projection import MIN_STEPS, num_passes
from gan.images.collection import Images
from gan.images.convert import to_png
from gan.metrics.pairs import psnr, ssim
from gan.records.provenance import from_latents, from_seeds
from gan.settings import SEED, Setting
from gan.utils.errors import UserError

STEPS = Setting("steps", default=150, low=MIN_STEPS, high=1000, whole=True)
STARTS = 4  # latents from which the search starts
SHARED: dict[str, Any] = {**FAST, "trigger_mode": "always_last", "show_progress": "hidden"}


class Base(NamedTuple):
    """The latent that is edited, and where it comes from."""

    latents: Tensor  # (1, ...)
    label: Tensor | None  # (1,), its class
    seed: int | None = None  # None for the latent of an upload
    class_name: str | None = None  # that the visitor chose for the seed


class Editor:
    """Sliders, and the image that they edit after each change.

    Args:
        sources: controls that select the latent.
        base: returns the latent of their values.
        image: shows the result.
        api_name: the name of the edit for direct calls.
    """

    def __init__(
        self,
        shown: PageModel,
        context: Context,
        sources: Controls,
        base: Callable[[SimpleNamespace], Base],
        image: gr.Image,
        api_name: str,
    ) -> None:
        self.shown, self.context, self.base, self.sources, self.image = shown, context, base, sources, image
        self.attributes, self.vectors = list(shown.model.attributes), list(shown.model.vectors)
        self.sliders = Controls()
        with gr.Column(scale=2, min_width=300):
            with gr.Accordion("Attributes (in standard deviations)"):
                self.add_sliders(self.attributes, 2)
            fixed = gr.CheckboxGroup(self.attributes, label="Keep constant while others change")
            with gr.Accordion("Directions (in standard deviations)", visible=bool(self.vectors)):
                self.add_sliders(self.vectors, 4)
            with gr.Accordion("Position (takes seconds)", open=False):
                self.add_sliders(POSITIONS, 2)
            reset = gr.Button("Set all to zero")
        sliders = self.sliders.inputs
        self.inputs = [*sources.inputs, fixed, *sliders]
        self.show_after(fixed.input, *(slider.release for slider in sliders))
        zero = reset.click(lambda: [0] * len(sliders), None, sliders, **PRIVATE)
        zero.then(answer(self.edit), self.inputs, image, api_name=api_name + shown.calls, **SHARED)

    def add_sliders(self, names: Sequence[str], most: float) -> None:
        part = f"by 1/{1 / SHIFT:g} of the"
        info = {"zoom": f"1 magnifies by {ZOOM:g}", "shift_x": f"1 shifts right {part} width",
                "shift_y": f"1 shifts down {part} height"}  # fmt: skip
        info |= {name: name for name in self.shown.effects}  # the name for gan edit stands below the label
        for name in names:
            label = self.shown.effects.get(name, name.replace("_", " "))
            slider = gr.Slider(-most, most, 0, step=0.05, label=label, info=info.get(name))
            self.sliders.number(CHANGE, slider, name)

    def show_after(self, *events: Any) -> None:
        for event in events:
            event(answer(self.edit), self.inputs, self.image, api_visibility="private", **SHARED)

    def read(self, values: Sequence[Any]) -> tuple[Base, dict[str, float]]:
        """Return the latent and the settings of the values of `inputs`."""
        count = len(self.sources.inputs)
        base = self.base(self.sources.read(values[:count]))
        settings = {name: value for name, value in vars(self.sliders.read(values[count + 1 :])).items() if value}
        attribute = Setting("attribute", default=self.attributes[0], words=tuple(self.attributes))
        for name in values[count] or []:
            settings.setdefault(attribute.check(name, "Keep constant "), 0.0)
        return base, settings

    def edit(self, *values: object) -> str:
        """Return the path of the edited image."""
        base, settings = self.read(values)
        model = self.shown.model
        moved = model.edit(base.latents, base.label, **settings)
        pixels = model.synthesize(moved, base.label).pixels[0]
        changes = self.shown.changes(settings)
        if base.seed is None:
            name, described = "projected", from_latents(model, base.latents, base.label, **changes)
        else:
            name, described = str(base.seed), from_seeds(model, [base.seed], base.class_name, **changes)
        return self.context.keep(to_png(pixels, described.image(pixels, 0)), f"{name}.png")


def edit_tab(shown: PageModel, context: Context, opened: object) -> None:
    """Add the tab's content: a seed and sliders. `opened` is what shows it."""
    controls = Controls()
    with gr.Row():
        with gr.Column(scale=1, min_width=220):
            controls.number(SEED, gr.Number(0, label="Seed", precision=0))
            class_choice(controls, shown)
        with gr.Column(scale=2, min_width=300):
            image = gr.Image(label="Edited", type="filepath", format="png", height=420, interactive=False,
                             elem_classes="pixels", buttons=["download", "fullscreen"])  # fmt: skip

        def base(given: SimpleNamespace) -> Base:
            latents, label = shown.model.latents([given.seed], given.label)
            return Base(latents, label, given.seed, given.label)

        editor = Editor(shown, context, controls, base, image, "edit")
    editor.show_after(opened, *(component.input for component in controls.inputs))


def project_tab(shown: PageModel, context: Context) -> None:
    """Add the tab's content: search for the latent whose image is most similar to an upload, then sliders."""
    controls, sources = Controls(), Controls()
    projected = sources.add("projection", gr.State(None))
    with gr.Row():
        with gr.Column(scale=1, min_width=240):
            controls.add("path", gr.File(label="An image", height=140, file_types=sorted(SUFFIXES)))
            controls.number(STEPS, gr.Slider(MIN_STEPS, 1000, 150, step=10, label="Steps",
                                             info="more steps, more similar"))  # fmt: skip
            class_choice(controls, shown, "any: the most similar")
            button = start_buttons("Project", context)
        with gr.Column(scale=2, min_width=300):
            with gr.Row():
                options: dict[str, Any] = {"type": "filepath", "format": "png", "height": 300, "interactive": False,
                                           "elem_classes": "pixels"}  # fmt: skip
                target = gr.Image(label="Your image", buttons=[], **options)
                image = gr.Image(label="Projected and edited", buttons=["download", "fullscreen"], **options)
            note = gr.Markdown()

        def base(given: SimpleNamespace) -> Base:
            if given.projection is None:
                raise UserError("there is no projected image yet: upload an image, then press Project")
            return Base(*given.projection)

        editor = Editor(shown, context, sources, base, image, "edit_projected")

    @answer
    def project(request: gr.Request, progress: gr.Progress = PROGRESS, *values: object) -> Any:
        given, model = controls.read(values), shown.model
        decoded = decode_one(find_files(given.path and [given.path], context)[0], model.config["data"], context)
        pixels = torch.from_numpy(decoded.pixels)
        space, passes = shown.space.name, num_passes(1, STARTS, given.steps, False)
        with context.job(request, progress, passes, "projecting") as advance:
            result = model.project(Images(pixels[None]), space, STARTS, given.steps, given.label, advance)
        after = model.synthesize(result.latents, result.labels).pixels
        scores = f"PSNR {float(psnr(pixels[None], after)):.1f} dB, SSIM {float(ssim(pixels[None], after)):.2f}"
        (width, height), (rows, columns) = decoded.size, pixels.shape[1:]
        fitted = f"; your image of {width}×{height} pixels was fitted to {columns}×{rows}"
        said = f"Similarity to your image: {scores} (higher is more similar)"
        said += fitted if (height, width) != (rows, columns) else ""
        return context.keep(to_png(pixels), "target.png"), (result.latents, result.labels), said

    outputs = [target, projected, note]
    event = button.click(project, controls.inputs, outputs, api_name=f"project{shown.calls}", **LONG)
    editor.show_after(event.success)
