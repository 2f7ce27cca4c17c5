"""Sliders that edit one latent: a fast approximation while a slider moves, and the exact edit when it is released."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import torch

from gan.images.convert import to_png
from gan.latent import position
from gan.latent.attributes import LinearEdit
from gan.latent.position import POSITIONS
from gan.sharing.demo import limits
from gan.sharing.demo.context import FAST, Context, answer, session_of
from gan.sharing.demo.shown import Base, Shown

MAX_CACHED = 16  # latents whose gradients are kept
SHARED: dict[str, Any] = {"concurrency_id": FAST, "concurrency_limit": 1, "trigger_mode": "always_last"}


class Editor:
    """The sliders of a tab, and the image that they edit.

    Args:
        sources: components that select the latent.
        base: returns the latent of their values.
        api_name: the name of the exact edit for direct calls.
    """

    def __init__(
        self, shown: Shown, context: Context, sources: Sequence[Any], base: Callable[..., Base], api_name: str
    ) -> None:
        self.shown, self.context, self.base = shown, context, answer(base)
        self.attributes = list(shown.model.attributes)
        self.vectors = list(shown.model.vectors)
        self.names = [*self.attributes, *self.vectors, *POSITIONS]
        self.sources = list(sources)
        self.kept: OrderedDict[bytes, LinearEdit] = OrderedDict()
        self.exact_settings: OrderedDict[str, Any] = OrderedDict()  # by session, see `preview`
        self.api_name = api_name + shown.calls

    def build(self, image: gr.Image) -> None:
        """Add the sliders, and connect them with the image."""
        with gr.Column(scale=2, min_width=300):
            with gr.Accordion("Attributes (in standard deviations)", open=True):
                sliders = [slider(name, 2) for name in self.attributes]
            held = gr.CheckboxGroup(self.attributes, label="Keep constant while others change")
            if self.vectors:
                with gr.Accordion("Directions (in standard deviations)", open=True):
                    sliders += [slider(name, 4, 0.1) for name in self.vectors]
            with gr.Accordion("Position (takes seconds)", open=False):
                sliders += [slider(name, 2) for name in POSITIONS]
            reset = gr.Button("Set all to zero")
        inputs = [*self.sources, held, *sliders]
        for each, name in zip(sliders, self.names, strict=True):
            if name not in POSITIONS:
                each.input(self.preview, inputs, image, show_progress="hidden", api_visibility="private", **SHARED)
            each.release(self.exact, inputs, image, show_progress="hidden", api_visibility="private", **SHARED)
        held.input(self.exact, inputs, image, show_progress="hidden", api_visibility="private", **SHARED)
        zero = reset.click(lambda: [0] * len(sliders), None, sliders, api_visibility="private")
        zero.then(self.exact, inputs, image, show_progress="hidden", api_name=self.api_name, **SHARED)
        self.inputs, self.image = inputs, image

    def show_after(self, *events: Any) -> None:
        """Show the exact image after events that change the latent."""
        for event in events:
            event(self.exact, self.inputs, self.image, show_progress="hidden", api_visibility="private", **SHARED)

    def read(self, values: Sequence[Any]) -> tuple[Base, dict[str, float]]:
        """Return the latent and the settings of the values of `inputs`."""
        sources, held, *numbers = values[: len(self.sources)], *values[len(self.sources) :]
        base = self.base(*sources)
        settings = {}
        for name, value in zip(self.names, numbers, strict=True):
            if found := limits.number(name, value, -limits.MAX_SETTING, limits.MAX_SETTING):
                settings[name] = found
        for name in held if isinstance(held, list) else []:
            settings.setdefault(limits.choice("keep constant", name, self.attributes), 0.0)
        return base, settings

    @property
    def exact(self) -> Callable[..., Any]:
        @answer
        def exact(request: gr.Request, *values: Any) -> Any:
            base, settings = self.read(values)
            self.exact_settings[session_of(request)] = settings
            while len(self.exact_settings) > limits.MAX_SESSIONS:
                self.exact_settings.popitem(last=False)
            model = self.shown.model
            self.shown.units  # noqa: B018 measured once, before the first edit
            moved = model.edit(base.latents, base.label, **settings)
            pixels = model.synthesize(moved, base.label).pixels[0]
            return self.context.keep(to_png(pixels, base.describe(settings, pixels)), f"{base.name}.png")

        return exact

    @property
    def preview(self) -> Callable[..., Any]:
        @answer
        def preview(request: gr.Request, *values: Any) -> Any:
            base, settings = self.read(values)
            if self.exact_settings.get(session_of(request)) == settings:  # the slider was released meanwhile
                return gr.skip()
            pixels = self.approximate(base, settings)
            return self.context.keep(to_png(pixels), f"{base.name}.png")

        return preview

    def approximate(self, base: Base, settings: dict[str, float]) -> torch.Tensor:
        """Return the image uint8 (C, H, W) of a linear edit. Positions are left out."""
        model, moved = self.shown.model, base.latents
        for name in self.vectors:
            moved = moved + settings.get(name, 0.0) * model.vectors[name]
        by = {name: settings[name] * self.shown.units[name] for name in self.attributes if name in settings}
        return self.linear(base, model)(by if any(by.values()) else {}, moved)[0]

    def linear(self, base: Base, model: Any) -> LinearEdit:
        """Return the linear edit of a latent, whose gradients are computed once."""
        key = base.latents.numpy().tobytes() + str((base.label, model.images)).encode()
        if key not in self.kept:
            self.kept[key] = LinearEdit(self.shown.space, base.latents, model.attributes, base.label)
            while len(self.kept) > MAX_CACHED:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return self.kept[key]


def slider(name: str, most: float, step: float = 0.05) -> gr.Slider:
    title = name.replace("_", " ")
    part = f"by 1/{1 / position.SHIFT:g} of the"
    info = {"zoom": f"1 magnifies by {position.ZOOM:g}", "shift_x": f"1 shifts right {part} width",
            "shift_y": f"1 shifts down {part} height"}  # fmt: skip
    return gr.Slider(-most, most, 0, step=step, label=title, info=info.get(name))
