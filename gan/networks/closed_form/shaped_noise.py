"""Shaped noise: grain in closed form, fitted to two sets of windows.

The model of film grain in AV1 (Norkin and Birkbeck, "Film Grain Synthesis for AV1 Video Codec", 2018) has the same
parts: noise with a given spectrum, and a strength that depends on the local intensity, here the luminance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.image_statistics import cross_spectrum, luminance, radius
from gan.networks.precision import full_precision
from gan.networks.resampling import blur, blur_radius

KERNEL = 33  # side of the kernels in pixels
SIGMA = 3.0  # of the blur that separates local luminance and detail, in pixels
BINS = 10  # of luminance for which the strength is fitted
FEWEST = 200  # pixels that a bin needs in both sets
LOW, BAND = 0.03, 0.05  # cycles per pixel: below LOW nothing changes, above LOW + BAND everything may


class ShapedNoise(nn.Module):
    """Removes detail that targets lack, and adds Gaussian noise with the spectrum of the detail that inputs lack.

    Initially it changes nothing. Images are (N, 3, h, w) in [-1, 1].

    Attributes:
        receptive_radius: number of pixels around a tile on which its output depends.
    """

    filter: Tensor
    kernel: Tensor
    strength: Tensor
    receptive_radius = KERNEL // 2 + blur_radius(SIGMA)

    def __init__(self) -> None:
        super().__init__()
        identity = torch.zeros(KERNEL, KERNEL)
        identity[KERNEL // 2, KERNEL // 2] = 1
        self.register_buffer("filter", identity)  # convolved with each channel of the image
        self.register_buffer("kernel", torch.zeros(3, 3, KERNEL, KERNEL))  # convolved with white noise
        self.register_buffer("strength", torch.ones(BINS))  # of the noise, by luminance from -1 to 1

    @torch.no_grad()
    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Fit to windows (N, 3, s, s) and (M, 3, s, s) in [-1, 1]."""
        own, wanted = cross_spectrum(inputs).real, cross_spectrum(targets).real  # phases between channels do not matter
        high = ((radius(inputs.shape[-1]) - LOW) / BAND).clamp(0, 1)
        powers = [spectrum.diagonal(dim1=2, dim2=3).sum(-1) for spectrum in (own, wanted)]
        gain = 1 - high * (1 - (powers[1] / powers[0].clamp(min=1e-12)).clamp(max=1).sqrt())
        values, vectors = torch.linalg.eigh((wanted - own * gain.square()[..., None, None]) * high[..., None, None])
        root = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT  # (s, s, 3, 3)
        self.filter.copy_(windowed(gain))
        self.filter.div_(self.filter.sum())  # windowing changes the mean slightly
        self.kernel.copy_(windowed(root.permute(2, 3, 0, 1)))
        power = torch.stack([values.clamp(min=0).sum(-1).mean(), self.kernel.square().sum()])  # before and after
        self.kernel.mul_((power[0] / power[1].clamp(min=1e-12)).sqrt())
        self.strength.copy_(fitted_strength(inputs, targets))

    def noise(self, white: Tensor) -> Tensor:
        """Return noise (N, 3, h, w) with the fitted spectrum for white noise (N, 3, h + 32, w + 32)."""
        return F.conv2d(white, self.kernel)

    def forward(self, x: Tensor, white: Tensor) -> Tensor:
        """Return images (N, 3, h, w) with noise, made from white noise (N or 1, 3, h + 32, w + 32)."""
        channels = x.shape[1]
        padded = F.pad(x, (KERNEL // 2,) * 4, mode="replicate")
        with full_precision(x):  # as in `blur`
            smooth = F.conv2d(padded, self.filter.expand(channels, 1, -1, -1), groups=channels)
        return smooth + self.strength_at(x) * self.noise(white)

    def strength_at(self, x: Tensor) -> Tensor:
        """Return the strength (N, 1, h, w) of noise for the local luminance, linear between the centers of bins."""
        return interpolated(self.strength, local_luminance(x))


def windowed(spectrum: Tensor) -> Tensor:
    """Return the kernel (..., KERNEL, KERNEL) of a real, even spectrum (..., s, s), faded out by a Hann window."""
    side = spectrum.shape[-1]
    reach = min(KERNEL, side - 1) // 2
    kernel = torch.fft.fftshift(torch.fft.ifft2(spectrum).real, dim=(-2, -1))
    inner = slice(side // 2 - reach, side // 2 + reach + 1)
    taper = torch.hann_window(2 * reach + 3, periodic=False)[1:-1]
    return F.pad(kernel[..., inner, inner] * torch.outer(taper, taper), (KERNEL // 2 - reach,) * 4)


def local_luminance(x: Tensor) -> Tensor:
    """Return the blurred luminance (N, 1, h, w) of images (N, 3, h, w)."""
    return blur(luminance(x), SIGMA)


def interpolated(values: Tensor, luminance: Tensor) -> Tensor:
    """Return the value at each luminance in [-1, 1]; values (L,) are those in the middle of L equal bins."""
    place = ((luminance.clamp(-1, 1) + 1) / 2 * len(values) - 0.5).clamp(0, len(values) - 1)
    lower = place.long().clamp(max=len(values) - 2)
    return torch.lerp(values[lower], values[lower + 1], place - lower)


def fitted_strength(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the standard deviation (BINS,) of the additional detail by luminance, relative to its average."""
    (own, own_count), (wanted, count) = detail_by_luminance(inputs), detail_by_luminance(targets)
    weights = count / count.sum()
    excess = (wanted - own).clamp(min=0)
    seen = (own_count > FEWEST) & (count > FEWEST)
    mean = (excess * weights)[seen].sum() / weights[seen].sum().clamp(min=1e-9)
    excess = torch.where(seen, excess, mean)
    return (excess / (excess * weights).sum().clamp(min=1e-9)).sqrt()


def detail_by_luminance(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance of detail (BINS,) in windows by local luminance, and the number of pixels (BINS,)."""
    detail = blur((windows - blur(windows, SIGMA)).square().mean(1, keepdim=True), SIGMA).flatten()
    level = ((local_luminance(windows) + 1) / 2 * BINS).long().clamp(0, BINS - 1).flatten()
    count = level.bincount(minlength=BINS).float()
    return level.bincount(detail, BINS).float() / count.clamp(min=1), count
