"""Generators of CycleGAN, pix2pix and CUT: the authors' latest_net_G.pth, a state dict without options.

Their modules are numbered, so their kinds follow from the numbers and from the shapes of the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from gan.models.published.result import Published

SIZE = 256  # pixels of the images in the papers
TRAINING = "gan.training.translation.Translator"
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # unused: a batch has its own
RESAMPLING = [(f"{part}.{n}.convolution", f"{part}.{n}.norm") for part in ("down", "up") for n in (0, 1)]
PLACES = [("stem.0", "stem.1"), *RESAMPLING, ("to_image", "")]  # convolutions and their norms
START = "model.model"  # of names of the U-Net
MAX_DEPTH = 12  # of a U-Net

Weights = dict[str, Tensor]


def from_resnet(weights: Weights) -> Published:
    """Return the weights of a residual generator, whose modules with a `filt` blur.

    The others with weights are a 7x7 convolution, two that halve the size, blocks, two that double the size, and a 7x7
    convolution; each but the last may be followed by a norm.
    """
    values = {name: value for name, value in weights.items() if not name.endswith((*STATISTICS, ".filt"))}
    taps = {value.shape[-1] for name, value in weights.items() if name.endswith(".filt")}
    modules = places(values, "model.", PLACES)
    starts = [re.match(r"model\.\d{1,3}\.conv_block\.", name) for name in values]
    blocks = sorted({start[0] for start in starts if start}, key=lambda start: int(start.split(".")[1]))
    for n, start in enumerate(blocks):
        pairs = [(f"blocks.{n}.layers.{layer}", f"blocks.{n}.layers.{layer + 1}") for layer in (0, 3)]
        modules |= places(values, start, pairs)
    result = renamed(values, modules)
    for name in [name.removesuffix(".weight") for name, value in result.items() if value.ndim == 4]:
        if f"{name}.bias" not in result:  # with BatchNorm, the authors' convolutions have none
            outputs = result[f"{name}.weight"].shape[int(name.startswith("up") and not taps)]
            result[f"{name}.bias"] = torch.zeros(outputs)
    options = {
        "_target_": "gan.networks.resnet_translator.Generator",
        "channels": len(result["to_image.weight"]),
        "width": len(result["stem.0.weight"]),
        "n_blocks": len(blocks),
        "norm": "batch" if "stem.1.weight" in result else "instance",
        "residual": False,
        "antialias": bool(taps),
        "taps": 3 if 3 in taps else 4,
    }
    return Published("CycleGAN, pix2pix or CUT (ResNet)", SIZE, options, {"generator": result}, training=TRAINING)


def places(values: Weights, start: str, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the modules here by the authors' numbered ones: pairs of a convolution, and of its norm if it has one."""
    numbered = [name for name in values if re.fullmatch(rf"{re.escape(start)}\d{{1,3}}\.weight", name)]
    found, left, norm = {}, iter(pairs), ""
    for name in sorted(numbered, key=lambda name: int(name.split(".")[-2])):
        place, norm = (norm, "") if values[name].ndim == 1 else next(left)
        found[name.removesuffix(".weight")] = place
    return found


def from_unet(weights: Weights) -> Published:
    """Return the weights of a U-Net: blocks within blocks.

    Each has a convolution that halves the size and one that doubles it: the modules 0 and 3 in the outer block, 1 and 3
    in the innermost one, 1 and 5 in the others. The norms are 2 and 6, or 4 in the innermost block.
    """
    values = {name: value for name, value in weights.items() if not name.endswith(STATISTICS)}
    starts = [START, f"{START}.1.model"]
    while f"{starts[-1]}.5.weight" in values and len(starts) <= MAX_DEPTH:
        starts.append(f"{starts[-1]}.3.model")
    depth = len(starts)
    modules = {f"{START}.0": "down.0.convolution", f"{START}.3": "to_image"}
    for n, start in enumerate(starts[1:], 1):
        up, doubling, norm = f"up.{depth - 1 - n}", *((3, 4) if n == depth - 1 else (5, 6))
        modules |= {f"{start}.1": f"down.{n}.convolution", f"{start}.2": f"down.{n}.norm",
                    f"{start}.{doubling}": f"{up}.convolution", f"{start}.{norm}": f"{up}.norm"}  # fmt: skip
    first = values[f"{START}.0.weight"]
    options = {"_target_": "gan.networks.unet.Generator", "channels": first.shape[1], "width": len(first),
               "depth": depth, "norm": "batch" if f"{starts[1]}.2.weight" in values else "instance",
               "residual": False}  # fmt: skip
    return Published("pix2pix (U-Net)", SIZE, options, {"generator": renamed(values, modules)}, training=TRAINING)


def renamed(values: Weights, modules: dict[str, str]) -> Weights:
    parts = ((*name.rpartition("."), value) for name, value in values.items())
    return {f"{modules.get(module, module)}.{kind}": value for module, _, kind, value in parts}
