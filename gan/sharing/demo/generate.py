"""The tab Generate: images of seeds, as PNG files with the same bytes as those of `gan generate`."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any

import gradio as gr
import torch

from gan.common.errors import UserError
from gan.images.convert import grid, to_png
from gan.latent.space import grid_of
from gan.sharing.demo import limits
from gan.sharing.demo.context import FAST, Context, answer
from gan.sharing.demo.shown import ANY, Shown
from gan.sharing.provenance import Described, Origin, from_seeds, generated


def generate_tab(shown: Shown, context: Context, opened: Any) -> None:
    """Add the tab's content. `opened` is the event that shows it first."""
    model = shown.model
    _, height, width = model.shape
    multiples = multiples_of(model)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            seeds = gr.Textbox("0-15", label="Seeds", info=f"such as 0-15,42; at most {limits.MAX_IMAGES}")
            label = class_choice(shown)
            truncation = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation", visible=shown.space.name == "w",
                                   info="below 1: more typical, less varied")  # fmt: skip
            with gr.Row(visible=multiples > 0):
                sides: dict[str, Any] = {"minimum": multiples or 1, "maximum": limits.MAX_SIDE, "step": multiples or 1}
                sides |= {"precision": 0, "min_width": 80, "info": f"multiple of {multiples}"}
                rows, columns = gr.Number(height, label="Height", **sides), gr.Number(width, label="Width", **sides)
            with_grid = gr.Checkbox(label="Also all images as one grid")
            with gr.Row():
                button = gr.Button("Generate", variant="primary", min_width=80)
                random = gr.Button("Next seeds", min_width=80)
            download = gr.DownloadButton("Download all (zip)", interactive=False)
        with gr.Column(scale=3):
            gallery = gr.Gallery(label="Images", columns=6, height=620, object_fit="contain", format="png",
                                 elem_classes="pixels", interactive=False)  # fmt: skip

    @answer
    def generate(seeds: Any, label: Any, truncation: Any, rows: Any, columns: Any, with_grid: Any) -> Any:
        files = images_of(shown, seeds, label, truncation, (rows, columns), bool(with_grid))
        paths = [(context.keep(data, name), name.removesuffix(".png")) for name, data in files.items()]
        return paths, gr.DownloadButton(value=context.keep(zipped(files), "images.zip"), interactive=True)

    @answer
    def next_seeds(seeds: Any) -> str:
        last = max(limits.seed_list(seeds))
        return f"{last + 1}-{last + 16}"

    inputs, outputs = [seeds, label, truncation, rows, columns, with_grid], [gallery, download]
    shared: dict[str, Any] = {"concurrency_id": FAST, "concurrency_limit": 1}
    gr.on([button.click, seeds.submit, opened], generate, inputs, outputs, api_name=f"generate{shown.calls}", **shared)
    random.click(next_seeds, seeds, seeds, api_visibility="private").then(
        generate, inputs, outputs, api_visibility="private", **shared
    )


def images_of(
    shown: Shown, seeds: Any, label: Any, truncation: Any, size: tuple[Any, Any], with_grid: bool
) -> dict[str, bytes]:
    """Return PNG files by name: those of `gan generate`, or of `gan edit --size` if the size is not that of training.

    Raises:
        UserError: a value is out of range.
    """
    model, chosen = shown.model, shown.label(label)
    numbers = limits.distinct_seeds(seeds)
    psi = limits.number("truncation", truncation, -2, 2)
    height, width = (
        limits.whole(name, side, 1, limits.MAX_SIDE) for name, side in zip(("Height", "Width"), size, strict=True)
    )
    limits.pixels(len(numbers), height, width)
    if height * width > limits.MAX_ENLARGEMENT * model.shape[1] * model.shape[2]:
        raise UserError(f"{width}x{height} pixels are more than {limits.MAX_ENLARGEMENT} times those of the training "
                        f"size, {model.shape[2]}x{model.shape[1]}; give a smaller Height or Width")  # fmt: skip
    if (height, width) == model.shape[1:]:
        images, origin = model.generate(numbers, psi, chosen).pixels, generated(model, psi)
    elif psi != 1:
        raise UserError(f"truncation {psi:g}: only works at the training size; set Truncation to 1, or Height to "
                        f"{model.shape[1]} and Width to {model.shape[2]}")  # fmt: skip
    elif (multiple := multiples_of(model)) and (height % multiple or width % multiple):
        raise UserError(f"Height {height}, Width {width}: give multiples of {multiple}")
    else:
        images = model.synthesize(model.latents(numbers, chosen), size=(height, width)).pixels
        origin = Origin(model.generator, model.images, size=[height, width])
    about = from_seeds(model, origin, numbers, chosen)
    files = {
        f"{seed}.png": to_png(image, about.image(image, n))
        for n, (seed, image) in enumerate(zip(numbers, images, strict=True))
    }
    if with_grid:
        sheet = grid(torch.as_tensor(images))
        files = {"grid.png": to_png(sheet, Described(origin, (), chosen, numbers).grid(sheet))} | files
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of files by name. Images are not compressed again."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time, so that equal images give equal bytes
    return buffer.getvalue()


def class_choice(shown: Shown, info: str = "any: depends on the seed") -> gr.Dropdown:
    """Return the choice of a class; hidden for a generator without classes."""
    return gr.Dropdown([ANY, *shown.model.classes], value=ANY, label="Class", info=info,
                       visible=bool(shown.model.classes))  # fmt: skip


def multiples_of(model: Any) -> int:
    """Return the number of pixels that must divide each side; 0 if the generator has one size only."""
    try:
        return grid_of(model.generator)[1]
    except UserError:
        return 0
