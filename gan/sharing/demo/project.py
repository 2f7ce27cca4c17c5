"""The tab Your image: find the latent whose image is most similar to an uploaded image, then edit it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from gan.common import digest
from gan.common.errors import UserError
from gan.images.collection import Images
from gan.images.convert import to_png
from gan.latent import vector_files
from gan.latent.projection import MIN_STEPS, describe_options, num_passes
from gan.metrics.pairs import psnr, ssim
from gan.sharing.demo import limits
from gan.sharing.demo.context import LONG, Context, answer
from gan.sharing.demo.editing import Editor
from gan.sharing.demo.generate import class_choice
from gan.sharing.demo.shown import Base, Shown
from gan.sharing.demo.uploads import IMAGES, decode_one
from gan.sharing.provenance import Origin, from_latents

LATENTS = ".safetensors"


def project_tab(shown: Shown, context: Context) -> None:
    spaces = ["w", "w+", "z"] if shown.space.name == "w" else ["z"]
    projected = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=240):
            upload = gr.File(label="An image, or latents of gan project", file_types=[*IMAGES, LATENTS], height=140)
            steps = gr.Slider(MIN_STEPS, limits.MAX_STEPS, 150, step=10, label="Steps",
                              info="more steps, more similar")  # fmt: skip
            with gr.Accordion("More", open=False):
                starts = gr.Slider(1, limits.MAX_STARTS, 4, step=1, label="Initial latents", info="more take longer")
                space = gr.Radio(spaces, value=spaces[0], label="Latent space", visible=len(spaces) > 1)
                label = class_choice(shown, "any: the most similar")
            with gr.Row():
                button = gr.Button("Project", variant="primary", min_width=80)
                cancel = gr.Button("Cancel", min_width=80)
            download = gr.DownloadButton("Download latents", interactive=False)
        with gr.Column(scale=2, min_width=300):
            with gr.Row():
                options: dict[str, Any] = {"type": "filepath", "format": "png", "height": 300, "interactive": False}
                target = gr.Image(label="Your image", elem_classes="pixels", buttons=[], **options)
                image = gr.Image(label="Projected and edited", elem_classes="pixels",
                                 buttons=["download", "fullscreen"], **options)  # fmt: skip
            said = gr.Markdown()

        def base(found: Any) -> Base:
            if found is None:
                raise UserError("there is no projected image yet: upload an image, then press Project")
            latents, labels, name = found

            def describe(settings: dict[str, float], pixels: Any) -> dict[str, str]:
                model = shown.model
                origin = Origin(model.generator, model.images, **shown.changes(settings, [], None))
                return from_latents(model, origin, latents, labels).image(pixels, 0)

            return Base(latents, labels, name, describe)

        editor = Editor(shown, context, [projected], base, "edit_projected")
        editor.build(image)

    @answer
    def project(
        path: Any,
        steps: Any,
        starts: Any,
        space: Any,
        label: Any,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008 Gradio finds the progress in this default
    ) -> Any:
        count, first = (
            limits.whole("steps", steps, MIN_STEPS, limits.MAX_STEPS),
            limits.whole("initial latents", starts, 1, limits.MAX_STARTS),
        )
        if not path:
            raise UserError("no file: drop an image first")
        if str(path).lower().endswith(LATENTS):
            return from_file(shown, str(path))
        place, model = limits.choice("space", space, ("z", "w", "w+")), shown.model
        found = decode_one(str(path), model.config["data"], context)
        pixels = torch.from_numpy(found.pixels)
        options = place, first, count, shown.label(label)
        title = "projecting"
        with context.job(request, progress, num_passes(1, first, count, place == "w+"), title) as advance:
            result = model.project(Images(pixels[None]), *options, advance)
        after = model.synthesize(result.latents, result.labels).pixels
        width, height = found.size
        scores = f"PSNR {float(psnr(pixels[None], after)):.1f} dB, SSIM {float(ssim(pixels[None], after)):.2f}"
        note = f"Similarity to your image: {scores} (higher is more similar)"
        if (height, width) != tuple(pixels.shape[1:]):
            note += f"; your image of {width}×{height} pixels was fitted to {pixels.shape[2]}×{pixels.shape[1]}"
        file = download_of(shown, context, result, pixels, options)
        kept = (result.latents, result.labels, "projected")
        return context.keep(to_png(pixels), "target.png"), kept, note, gr.DownloadButton(value=file, interactive=True)

    event = button.click(
        project, [upload, steps, starts, space, label], [target, projected, said, download],
        api_name=f"project{shown.calls}", concurrency_id=LONG, concurrency_limit=1,
    )  # fmt: skip
    editor.show_after(event.success)
    cancel.click(context.cancel, api_visibility="private")


def from_file(shown: Shown, path: str) -> Any:
    """Return the results of a file of `gan project`: its first latent.

    Raises:
        UserError: the file is damaged, or belongs to another model.
    """
    try:
        names, latents, labels = vector_files.stack_latents(Path(path), shown.model.generator)
    except UserError as error:
        raise UserError(str(error).replace(path, Path(path).name)) from error
    more = f", the first of {len(names)} in the file" if len(names) > 1 else ""
    kept = (latents[:1], None if labels is None else labels[:1], "projected")
    return None, kept, f"latents of `{names[0][:80]}`{more}", gr.DownloadButton(interactive=False)


def download_of(shown: Shown, context: Context, result: Any, pixels: torch.Tensor, options: tuple[Any, ...]) -> str:
    """Return a file with the latent, as `gan project` writes it."""
    about = {
        "labels": json.dumps({} if result.labels is None else {"image": int(result.labels[0])}),
        "digests": json.dumps({"image": digest.of_tensor(pixels)}),
        "options": describe_options(*options),
    }
    with tempfile.TemporaryDirectory(dir=context.folder) as folder:
        path = Path(folder, "latents.safetensors")
        vector_files.write(path, {"image": result.latents[0]}, shown.space, **about)
        return context.keep(path.read_bytes(), path.name)
