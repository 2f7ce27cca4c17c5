"""The tab Edit: style mixing of a seed with another one, then sliders."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan.latent import mixing
from gan.latent.mixing import Part
from gan.sharing.demo import limits
from gan.sharing.demo.context import Context
from gan.sharing.demo.editing import Editor
from gan.sharing.demo.generate import class_choice
from gan.sharing.demo.shown import Base, Shown
from gan.sharing.provenance import Origin, from_seeds

NONE, LAYERS, FRACTION = "none", "some layers", "interpolate"


def edit_tab(shown: Shown, context: Context, opened: Any) -> None:
    """Add the tab's content. `opened` is the event that shows it."""
    layers = shown.space.layers if shown.space.name == "w" else 0
    with gr.Row():
        with gr.Column(scale=1, min_width=220):
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            label = class_choice(shown)
            how = gr.Radio([NONE, *([LAYERS] if layers else []), FRACTION], value=NONE, label="Mix with another seed")
            other = gr.Number(1, label="Other seed", precision=0, minimum=0, visible=False)
            with gr.Row(visible=False) as both_layers:
                most = max(layers - 1, 1)
                first = gr.Slider(0, most, layers // 2, step=1, label="First layer", min_width=100,
                                  info="layer 0 is the coarsest")  # fmt: skip
                last = gr.Slider(0, most, most, step=1, label="Last layer", min_width=100,
                                 info=f"layer {most} is the finest")  # fmt: skip
            fraction = gr.Slider(0, 1, 0.5, step=0.01, label="Fraction of the other seed", visible=False)
        with gr.Column(scale=2, min_width=300):
            image = gr.Image(label="Edited", type="filepath", format="png", height=420, interactive=False,
                             elem_classes="pixels", buttons=["download", "fullscreen"])  # fmt: skip

        def base(seed: Any, label: Any, how: Any, other: Any, first: Any, last: Any, fraction: Any) -> Base:
            return base_of(shown, seed, label, part_of(how, layers, first, last, fraction), other)

        sources = [seed, label, how, other, first, last, fraction]
        editor = Editor(shown, context, sources, base, "edit")
        editor.build(image)

        def show(how: Any) -> Any:
            return [gr.update(visible=each) for each in (how != NONE, how == LAYERS, how == FRACTION)]

    how.input(show, how, [other, both_layers, fraction], show_progress="hidden", api_visibility="private")
    editor.show_after(opened, *(each.input for each in sources))


def part_of(how: Any, layers: int, first: Any, last: Any, fraction: Any) -> Part | None:
    """Return what is mixed; None for nothing."""
    how = limits.choice("mix", how, (NONE, *([LAYERS] if layers else []), FRACTION))
    if how == LAYERS:
        most = layers - 1
        return limits.whole("first layer", first, 0, most), limits.whole("last layer", last, 0, most)
    return limits.number("fraction", fraction, 0, 1) if how == FRACTION else None


def base_of(shown: Shown, seed: Any, label: Any, part: Part | None, other: Any) -> Base:
    """Return the latent of a seed, mixed with another seed."""
    model, chosen, number = shown.model, shown.label(label), limits.seed("seed", seed)
    latents, labels = model.latents([number], chosen)
    mixes = []
    if part is not None:
        mixes = [(limits.seed("other seed", other), part)]
        latents = mixing.mix(shown.space, latents, model.latents([mixes[0][0]], chosen)[0][0], part)

    def describe(settings: dict[str, float], pixels: Any) -> dict[str, str]:
        origin = Origin(model.generator, model.images, **shown.changes(settings, mixes, chosen))
        return from_seeds(model, origin, [number], chosen).image(pixels, 0)

    return Base(latents, labels, str(number), describe)
