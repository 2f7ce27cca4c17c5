"""Full-reference metrics of translations and reconstructions. Images are uint8 (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gan.metrics.pixels import as_rgb, luminance, rgb
from gan.utils.errors import UserError

WINDOW = 11  # side of SSIM's Gaussian window in pixels
MIN_DIFFERENCE = 0.1  # color difference (dE00), far below the just noticeable one


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images."""
    return peak_signal_noise_ratio(x.float(), y.float(), data_range=255.0, dim=(1, 2, 3), reduction="none")


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity, 1 for equal images (Wang et al., 2004: Gaussian of 11 x 11, sigma 1.5)."""
    if not len(x) or min(x.shape[2:]) < WINDOW:
        size = f"{x.shape[3]}x{x.shape[2]} pixels"
        raise UserError(f"SSIM of {len(x)} images of {size}: give at least one image with sides of {WINDOW} or more")
    values: list[Any] = [  # one image at a time: each needs 300 MB at 256 pixels
        structural_similarity_index_measure(a.double(), b.double(), data_range=255.0, reduction="none")
        for a, b in zip(x.split(1), y.split(1), strict=True)
    ]
    return torch.cat(values).float()  # computed in float64, because variances are differences of squares


def color_difference(x: Tensor, y: Tensor) -> Tensor:
    """Return CIEDE2000 averaged over the pixels of RGB images: 1 is just noticeable, 100 is black against white."""
    return torch.tensor([float(np.mean(deltaE_ciede2000(_lab(a), _lab(b)))) for a, b in zip(x, y, strict=True)])


def _lab(image: Tensor) -> np.ndarray:
    return rgb2lab(image.permute(1, 2, 0).cpu().numpy())  # (H, W, 3), from sRGB at D65


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
    before, after = (luminance(rgb(images)) for images in (inputs, outputs))
    x, y = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (before, after))
    correlation = (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp(min=1e-6)
    return {"luminance_correlation": float(correlation.mean()), "luminance_ssim": float(ssim(after, before).mean())}
