"""How much fine detail there is, whatever its place: grain and dots of print, which no comparison by pixels can judge.

Durall, Keuper, Keuper, "Watch your Up-Convolution: CNN Based Generative Deep Neural Networks are Failing to Reproduce
Spectral Distributions", 2020, arXiv:2003.01826, equations 2 and 3, of which means are taken here and not sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics.pixels import luminance

ROUNDING = 1 / 12  # variance that whole levels add to any picture


def radial_spectrum(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> decibels (K,), float64, K half of the shorter side: power of luminance by its frequency.

    Entry k - 1 is the mean over pictures and directions of what has k / 2K cycles a pixel, to the nearest k; noise of
    deviation s from pixel to pixel has 20 log10 s in all. Pictures fade out towards their borders, or the step from
    one border to the opposite one would be in all frequencies.

    Raises:
        UserError: there are no pictures, or a side is below 4 pixels.
    """
    height, width = images.shape[2:]
    if not len(images) or min(height, width) < 4:
        raise UserError(f"spectrum of {len(images)} pictures of {width}x{height} pixels: it needs one, of 4x4 or more")
    window = torch.outer(*(torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width)))
    power = torch.zeros(height, width, dtype=torch.float64)
    for image in images.split(1):
        light = luminance(image)[0, 0].double()
        power += torch.fft.fft2((light - light.mean()) * window).abs().square()
    power /= len(images) * window.square().sum()
    rings = min(height, width) // 2
    down, across = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width))
    ring = (2 * rings * torch.hypot(down[:, None], across) + 0.5).long().flatten()
    total = torch.zeros(int(ring.max()) + 1, dtype=torch.float64).index_add_(0, ring, power.flatten())
    mean = (total / ring.bincount())[1 : rings + 1]
    return 10 * torch.log10(mean + ROUNDING)


def spectral_distance(real: Tensor, fake: Tensor) -> float:
    """Root of the mean squared difference of their radial spectra, in decibels; 0 where they are equal.

    Raises:
        UserError: as `radial_spectrum`, or sizes differ.
    """
    if real.shape[2:] != fake.shape[2:]:
        raise UserError(f"spectra of {tuple(real.shape[2:])} and {tuple(fake.shape[2:])} pixels cannot be compared")
    return float((radial_spectrum(real) - radial_spectrum(fake)).square().mean().sqrt())
