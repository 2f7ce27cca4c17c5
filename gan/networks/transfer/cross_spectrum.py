"""The power of color windows at each frequency, and between channels."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64  # windows per Fourier transform


def cross_spectrum(windows: Tensor) -> Tensor:
    """Return the mean cross-spectrum of windows (N, C, s, s): complex Hermitian (s, s, C, C), zero frequency first.

    A Hann window avoids the discontinuity between opposite borders. White noise with standard deviation 1 has the
    identity at each frequency (Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967).
    """
    side = windows.shape[-1]
    total = torch.zeros(side, side, *[windows.shape[1]] * 2, dtype=torch.complex64, device=windows.device)
    for part in windows.float().split(CHUNK):
        z = tapered(part)
        total += torch.einsum("ncyx,ndyx->yxcd", z, z.conj())
    return total / len(windows)


def tapered(windows: Tensor) -> Tensor:
    """Return the Fourier transforms of windows (..., s, s) after a Hann window; white noise keeps its variance."""
    side = windows.shape[-1]
    taper = torch.outer(hann(side), hann(side)).to(windows)
    taper = taper / taper.square().mean().sqrt() / side
    return torch.fft.fft2((windows - windows.mean((-2, -1), keepdim=True)) * taper)


def hann(side: int) -> Tensor:
    """Return a periodic Hann window (side,)."""
    return torch.hann_window(side)


def radius(side: int) -> Tensor:
    """Return the frequency of each bin of a Fourier transform (side, side), in cycles per pixel."""
    f = torch.fft.fftfreq(side)
    return torch.hypot(f[:, None], f)
