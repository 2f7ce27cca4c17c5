"""The power spectrum of images. It measures grain and print dots, which cannot be compared pixel by pixel.

Durall, Keuper, Keuper, "Watch your Up-Convolution: CNN Based Generative Deep Neural Networks are Failing to Reproduce
Spectral Distributions", 2020, arXiv:2003.01826, equations 2 and 3, with means instead of sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.pixels import luminance

ROUNDING = 1 / 12  # variance of rounding to whole levels


def power_spectrum(images: Tensor) -> Tensor:
    """Return the mean power of the luminance of images uint8 (N, C, H, W), (H, W), float64, as of `fft2`.

    White noise with standard deviation s has s^2 everywhere. A Hann window avoids the discontinuity between opposite
    borders.
    """
    height, width = images.shape[2:]
    window = torch.outer(*(torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width)))
    power = torch.zeros(height, width, dtype=torch.float64)
    for image in images.split(1):
        y = luminance(image)[0, 0].double()
        power += torch.fft.fft2((y - y.mean()) * window).abs().square()
    return power / (len(images) * window.square().sum())


def radial_spectrum(images: Tensor) -> Tensor:
    """Return the radial power spectrum of the luminance of images uint8 (N, C, H, W), in decibels (K,), float64.

    K is half of the shorter side. Entry k - 1 is the mean over images and directions of the power at k / 2K cycles per
    pixel. White noise with standard deviation s has 20 log10 s in all entries.
    """
    power = power_spectrum(images)
    height, width = power.shape
    rings = min(height, width) // 2
    down, across = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width))
    ring = (2 * rings * torch.hypot(down[:, None], across) + 0.5).long().flatten()
    total = torch.zeros(int(ring.max()) + 1, dtype=torch.float64).index_add_(0, ring, power.flatten())
    mean = (total / ring.bincount())[1 : rings + 1]
    return 10 * torch.log10(mean + ROUNDING)


def spectral_distance(real: Tensor, fake: Tensor) -> float:
    """Return the root mean squared difference of two radial spectra, in decibels."""
    return float((radial_spectrum(real) - radial_spectrum(fake)).square().mean().sqrt())
