"""Full-reference metrics, for translation and reconstruction: pairs of images uint8 (N, C, H, W) -> (N,)."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gan.common.errors import UserError
from gan.metrics.pixels import resized
from gan.networks.lite0 import pretrained

WINDOW = 11  # side of SSIM's Gaussian window in pixels


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images.

    Raises:
        UserError: shapes differ.
    """
    _same_shape(x, y)
    return peak_signal_noise_ratio(x.float(), y.float(), data_range=255.0, dim=(1, 2, 3), reduction="none")


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity, 1 for equal images (Wang et al., 2004: Gaussian of 11 x 11, sigma 1.5).

    Raises:
        UserError: shapes differ, there are no images, or a side is below 11 pixels.
    """
    _same_shape(x, y)
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


def color_difference(x: Tensor, y: Tensor) -> Tensor:
    """Return CIEDE2000 averaged over the pixels of RGB images: 1 is just noticeable, 100 is black against white.

    Raises:
        UserError: shapes differ, or images are not RGB.
    """
    _same_shape(x, y)
    if x.shape[1] != 3:
        raise UserError(f"a color difference needs RGB images; these have {x.shape[1]} channels")
    return torch.tensor([float(np.mean(deltaE_ciede2000(_lab(a), _lab(b)))) for a, b in zip(x, y, strict=True)])


class PerceptualDistance(nn.Module):
    """Perceptual distance, 0 for equal images: LPIPS with Lite0 instead of VGG, and without channel weights.

    Features at five depths are normalized at each position; squared differences are summed over channels and averaged
    over positions and depths (Zhang et al., 2018, arXiv:1801.03924, equation 1 with w = 1). The values are not
    comparable with LPIPS.

    Raises:
        UserError: shapes differ; the weights are missing or have another hash.
    """

    depths = (0, 2, 4, 10, 15)  # blocks
    side = 128  # images are resized to 128x128 pixels
    chunk = 32  # images per pass

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained()

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        _same_shape(x, y)
        pairs = zip(x.split(self.chunk), y.split(self.chunk), strict=True)
        return torch.cat(
            [self.distance(*(self.normalized_features(resized(each, self.side)) for each in pair)) for pair in pairs]
        )

    def normalized_features(self, colors: Tensor) -> list[Tensor]:
        """Return the normalized features at each depth of RGB in 0..255, float (N, 3, H, W)."""
        found = self.network.features(colors)
        return [normalize(found[depth], dim=1, eps=1e-6) for depth in self.depths]

    @staticmethod
    def distance(x: list[Tensor], y: list[Tensor]) -> Tensor:
        """Return the distance (N,) of two lists of `normalized_features`."""
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in zip(x, y, strict=True)]).mean(0)


def _same_shape(x: Tensor, y: Tensor) -> None:
    if x.shape != y.shape:
        raise UserError(f"pairs of images of shape {tuple(x.shape)} and {tuple(y.shape)}: their shapes must be equal")


def _lab(image: Tensor) -> np.ndarray:
    return rgb2lab(image.permute(1, 2, 0).cpu().numpy())  # (H, W, 3), from sRGB at D65
