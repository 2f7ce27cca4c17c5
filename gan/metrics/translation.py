"""Metrics of translations: distance to the ground truth, and preservation of content.

Images are uint8 (N, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.pairs import color_difference, psnr, ssim
from gan.metrics.pixels import luminance, rgb

MIN_DIFFERENCE = 0.1  # color difference (dE00), far below the just noticeable one


def ground_truth_scores(inputs: Tensor, outputs: Tensor, truths: Tensor) -> dict[str, float]:
    """Return gain, ciede2000, psnr (dB) and ssim of the outputs and the ground truth, as means over images.

    gain is 1 - dE00(output, truth) / dE00(input, truth), with means over images: 0 for the identity, 1 for the ground
    truth. It is omitted if inputs and ground truth are equal.
    """
    before, after, truth = (as_rgb(images) for images in (inputs, outputs, truths))
    remaining, initial = color_difference(after, truth).mean(), color_difference(before, truth).mean()
    return ({"gain": float(1 - remaining / initial)} if initial > MIN_DIFFERENCE else {}) | {
        "ciede2000": float(remaining),
        "psnr": float(psnr(after, truth).clamp(max=99).mean()),  # infinite for equal images
        "ssim": float(ssim(after, truth).mean()),
    }


def content_preservation(inputs: Tensor, outputs: Tensor) -> dict[str, float]:
    """Return correlation and SSIM of the luminance of inputs and outputs, as means over images.

    They are negative if the luminance is inverted.
    """
    before, after = luminance(inputs), luminance(outputs)
    x, y = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (before, after))
    correlation = (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp(min=1e-6)
    return {"luminance_correlation": float(correlation.mean()), "luminance_ssim": float(ssim(after, before).mean())}


def as_rgb(images: Tensor) -> Tensor:
    """Convert to 8-bit RGB, with transparent pixels on mid-gray."""
    return rgb(images).round().to(torch.uint8)
