"""Controls that several tabs share."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan.common.errors import UserError
from gan.sharing.demo.pixel_options import NO_PALETTE, Pixels
from gan.sharing.demo.uploads import IMAGES


def image_upload(label: str = "Images, or a zip archive of images", height: int = 180) -> gr.File:
    return gr.File(label=label, file_count="multiple", file_types=[*IMAGES, ".zip"], height=height)


def strength_slider(full: str) -> gr.Slider:
    return gr.Slider(0, 1, 1, step=0.05, label="Strength", info=f"0 is the input, 1 {full}")


def buttons(name: str) -> tuple[Any, Any, Any]:
    """Return the buttons to start, to cancel and to download."""
    with gr.Row():
        start = gr.Button(name, variant="primary", min_width=80)
        cancel = gr.Button("Cancel", min_width=80)
    return start, cancel, gr.DownloadButton("Download", interactive=False)


def check_blending(strength: float, pixels: Pixels) -> None:
    """Raise UserError if a palette is given that a blend with the input would leave."""
    if pixels.palette is not None and strength < 1:
        raise UserError(f"a palette needs Strength 1; set Strength to 1, or Palette to {NO_PALETTE!r}")
