"""What a translation did to pictures: how near it came to the truth, and what it kept. All are uint8 (N, C, H, W)."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.pairs import color_difference, psnr, ssim
from gan.metrics.pixels import luminance, rgb

JUST_NOTICED = 0.1  # of dE00, far below what anybody sees


def ground_truth_scores(inputs: Tensor, outputs: Tensor, truths: Tensor) -> dict[str, float]:
    """Means over pictures: gain, ciede2000, psnr (dB) and ssim to the truth.

    gain is 1 - dE00(output, truth) / dE00(input, truth), of the means: 0 for doing nothing, 1 for the truth itself; it
    is left out where there is nothing to gain.
    """
    before, after, truth = (shown(images) for images in (inputs, outputs, truths))
    left, away = color_difference(after, truth).mean(), color_difference(before, truth).mean()
    return ({"gain": float(1 - left / away)} if away > JUST_NOTICED else {}) | {
        "ciede2000": float(left),
        "psnr": float(psnr(after, truth).clamp(max=99).mean()),  # equal pictures are infinitely near
        "ssim": float(ssim(after, truth).mean()),
    }


def content_preservation(inputs: Tensor, outputs: Tensor) -> dict[str, float]:
    """Means over pictures: correlation of the luminance before and after, negative where it is inverted, and SSIM."""
    before, after = luminance(inputs), luminance(outputs)
    x, y = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (before, after))
    correlation = (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp(min=1e-6)
    return {"luminance_correlation": float(correlation.mean()), "luminance_ssim": float(ssim(after, before).mean())}


def shown(images: Tensor) -> Tensor:
    """As RGB of 8 bits, transparent pixels on mid-gray."""
    return rgb(images).round().to(torch.uint8)
