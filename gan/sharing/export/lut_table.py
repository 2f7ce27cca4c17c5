"""The function of colors of a translator with LUTs, without what a color table cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.common.output import print_line
from gan.common.size import pair
from gan.images.convert import to_float, to_uint8
from gan.inference.loading import has_data, load_data
from gan.inference.tiling import thumbnail
from gan.inference.translator import Translator
from gan.metrics.pixels import LUMA
from gan.networks import lut
from gan.networks.tile_position import TilePosition
from gan.sharing.export.parts import example_images

NUM_INPUTS = 128
PLACES = 8  # rows and columns at which a vignette is averaged


@torch.inference_mode()
def mean_function(network: lut.Generator, images: Tensor) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
    """Return a function of images (H, W, 3), float in 0..1, that maps each pixel by its color; and what is lost.

    Args:
        images: uint8 (N, C, H, W); the mix of the LUTs is the mean over these.
    """
    contexts = network.global_context(to_float(thumbnail(images, network.thumbnail_size)))
    mean = contexts.mean(0, keepdim=True)
    lost = []
    if contexts.shape[0] > 1 and network.entries.shape[0] > 1:
        apart = float((contexts - mean).abs().mean() * 127.5)
        lost.append(
            f"the mix of LUTs is the mean over {len(images)} images; that of a single one differs from it by "
            f"{apart:.1f} of 255 levels on average"
        )
    if network.falloff is not None:
        lost.append("of the vignette only the mean remains")
    if network.texture is not None:
        lost.append("of the texture only the mean of flat areas remains")
    return lambda image: apply(network, mean, image), lost


@torch.inference_mode()
def apply(network: lut.Generator, context: Tensor, image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3), float in 0..1, each pixel of which is translated as a flat area of its color."""
    x = torch.from_numpy(image).float().movedim(2, 0)[None] * 2 - 1
    if network.channels == 1:
        x = torch.einsum("c,nchw->nhw", torch.tensor(LUMA), x)[:, None].expand(-1, 3, -1, -1)
    color = lut.sampled(context, x).flatten(2)[0].T  # (H W, 3)
    total = torch.zeros_like(color)
    for gain in gains(network):
        y = (color + 1) * gain - 1
        if network.texture is not None:
            y = y + network.texture(y[..., None, None])[..., 0, 0]  # an image of one pixel for each color
        total += y if network.falloff is None else y.clamp(-1, 1)
    mean = total / len(gains(network))
    mean = mean.mean(1, keepdim=True).expand(-1, 3) if network.channels == 1 else mean
    return ((mean + 1) / 2).numpy().reshape(image.shape)


def gains(network: lut.Generator) -> Tensor:
    """Return the gains (places, 3) of the vignette; 1 without a vignette."""
    if network.falloff is None:
        return torch.ones(1, 3)
    like = torch.zeros(1, 3, PLACES, PLACES)
    return network.vignette_gain(TilePosition.whole(like), like).flatten(1).T


def inputs_of(model: Translator, path: Path) -> Tensor:
    """Return inputs of a model to average over: its training images, or built-in ones, after a note, if it has none."""
    try:
        if has_data(model.config):
            inputs: Tensor = load_data(model.config, path).inputs(NUM_INPUTS)
            return inputs
        reason = "a shared model has no training images"
    except UserError as error:
        reason = str(error)
    print_line(f"note: built-in images take the place of the training images: {reason}")
    return to_uint8(example_images(NUM_INPUTS, model.config["data"]["channels"], pair(model.config["data"]["size"])))
