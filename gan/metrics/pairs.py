"""Full-reference metrics, for translation and reconstruction: pairs of images uint8 (N, C, H, W) -> (N,)."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gan.common.errors import UserError
from gan.metrics.perceptual import check_same_shape
from gan.metrics.pixels import takes_arrays

WINDOW = 11  # side of SSIM's Gaussian window in pixels


@takes_arrays
def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images.

    Raises:
        UserError: shapes differ.
    """
    check_same_shape(x, y)
    return peak_signal_noise_ratio(x.float(), y.float(), data_range=255.0, dim=(1, 2, 3), reduction="none")


@takes_arrays
def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity, 1 for equal images (Wang et al., 2004: Gaussian of 11 x 11, sigma 1.5).

    Raises:
        UserError: shapes differ, there are no images, or a side is below 11 pixels.
    """
    check_same_shape(x, y)
    if not len(x) or min(x.shape[2:]) < WINDOW:
        size = f"{x.shape[3]}x{x.shape[2]} pixels"
        raise UserError(f"SSIM of {len(x)} images of {size}: give at least one image with sides of {WINDOW} or more")
    # One image at a time: each needs 300 MB at 256 pixels.
    return torch.cat([_ssim(a, b) for a, b in zip(x.split(1), y.split(1), strict=True)])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double(), y.double()  # variances are differences of squares
    values = structural_similarity_index_measure(x, y, data_range=255.0, reduction="none")
    assert isinstance(values, Tensor)  # False would be the tuple with the full map
    return values.float()


@takes_arrays
def color_difference(x: Tensor, y: Tensor) -> Tensor:
    """Return CIEDE2000 averaged over the pixels of RGB images: 1 is just noticeable, 100 is black against white.

    Raises:
        UserError: shapes differ, or images are not RGB.
    """
    check_same_shape(x, y)
    if x.shape[1] != 3:
        raise UserError(f"a color difference needs RGB images; these have {x.shape[1]} channels")
    return torch.tensor([float(np.mean(deltaE_ciede2000(_lab(a), _lab(b)))) for a, b in zip(x, y, strict=True)])


def _lab(image: Tensor) -> np.ndarray:
    return rgb2lab(image.permute(1, 2, 0).cpu().numpy())  # (H, W, 3), from sRGB at D65
