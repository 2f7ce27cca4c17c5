"""Unevenness of inks: mottled areas, and specks where the paper shows through.

A Gaussian field, the same for all inks, moves the color of each ink along a line in color space. A curve gives the
distance for each value of the field.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.transfer.shaped_noise import KERNEL, windowed

NOISE_REACH = KERNEL // 2  # pixels of noise around a pixel on which the field depends
INSIDE = 2  # pixels up to this distance from the outline of an area are ignored
SAME = 0.3  # largest distance of the local mean color from that of the ink, in [-1, 1]: beyond, it is another ink
REACH, STEPS = 3.0, 25  # standard deviations of the field at the ends of a curve, and its number of values
FEWEST = 2_000  # pixels that the curve of an ink needs


class UnevenInks(nn.Module):
    """Varies the colors of inks by noise. Initially it changes nothing.

    Args:
        inks: largest number of inks.
    """

    kernel: Tensor
    direction: Tensor
    curve: Tensor

    def __init__(self, inks: int) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.zeros(KERNEL, KERNEL))  # convolved with white noise
        self.register_buffer("direction", torch.zeros(inks, 3))  # unit vector along which the color of an ink varies
        self.register_buffer("curve", torch.zeros(inks, STEPS))  # how far, for values of the field from -REACH to REACH

    @torch.no_grad()
    def fit(self, targets: Tensor, palette: Tensor) -> None:
        """Fit to windows (N, 3, s, s) in [-1, 1] in inks of colors (K, 3). Inks with small areas remain even."""
        for buffer in (self.kernel, self.direction, self.curve):
            buffer.zero_()
        colors = targets.movedim(1, -1)  # (N, s, s, 3)
        nearest = torch.cdist(colors.flatten(0, 2), palette).argmin(1).view(colors.shape[:3])
        means = F.avg_pool2d(targets, 2 * INSIDE + 1, 1, INSIDE, count_include_pad=False).movedim(1, -1)
        field, known = torch.zeros_like(targets[:, 0]), torch.zeros_like(nearest, dtype=torch.bool)
        for number, color in enumerate(palette):
            inside = eroded(nearest == number) & ((means - color).square().sum(-1) < SAME**2)
            if inside.sum() < FEWEST:
                continue
            away = colors[inside] - color  # (n, 3)
            self.direction[number] = main_direction(away)
            distances = away @ self.direction[number]
            self.curve[number] = normal_quantiles(distances)
            field[inside] = normal_scores(distances)
            known |= inside
        self.kernel.copy_(kernel_of(field, known))

    def field(self, white: Tensor) -> Tensor:
        """Return the field (N, 1, h, w) for white noise (N, 1, h + 2 NOISE_REACH, w + 2 NOISE_REACH)."""
        return F.conv2d(white, self.kernel[None, None])

    def forward(self, fractions: Tensor, field: Tensor) -> Tensor:
        """Return what a field (N or 1, 1, h, w) adds to the colors (N, 3, h, w) of fractions (N, K, h, w) of inks."""
        count = fractions.shape[1]
        place = ((field[:, 0].to(self.curve) / REACH + 1) / 2 * (STEPS - 1)).clamp(0, STEPS - 1)  # (N, h, w)
        lower = place.long().clamp(max=STEPS - 2)
        curve = self.curve[:count]
        distance = torch.lerp(curve[:, lower], curve[:, lower + 1], place - lower).movedim(0, 1)  # (N, K, h, w)
        return torch.einsum("nkhw,kc->nchw", fractions * distance, self.direction[:count])


def eroded(area: Tensor) -> Tensor:
    """Return a mask (N, h, w) of the pixels of areas that are more than INSIDE pixels from others and the border."""
    others = F.pad((~area).float(), (INSIDE,) * 4, value=1)
    return F.max_pool2d(others[:, None], 2 * INSIDE + 1, 1)[:, 0] == 0


def main_direction(differences: Tensor) -> Tensor:
    """Return the unit vector (3,) along which differences of colors (n, 3) are largest, from dark to light."""
    vector = torch.linalg.eigh(differences.T @ differences)[1][:, -1]
    return vector if vector.sum() >= 0 else -vector


def normal_quantiles(values: Tensor) -> Tensor:
    """Return the quantiles (STEPS,) of values (n,) that correspond to those of a normal from -REACH to REACH."""
    places = torch.special.ndtr(torch.linspace(-REACH, REACH, STEPS)) * (len(values) - 1)
    return values.sort().values[places.round().long()]


def normal_scores(values: Tensor) -> Tensor:
    """Return values (n,) made normal: those of a standard normal with the same ranks. Equal values remain equal."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0) - counts / 2
    return torch.special.ndtri(ranks / len(values))[place]


def kernel_of(field: Tensor, known: Tensor) -> Tensor:
    """Return the kernel (KERNEL, KERNEL) that gives white noise the autocorrelation of fields of variance 1.

    Args:
        field: (N, s, s), which matters only where it is `known` (N, s, s).
    """
    side = field.shape[-1]
    transforms = (torch.fft.fft2(F.pad(each.float(), (0, side, 0, side))) for each in (field * known, known))
    products, pairs = (torch.fft.ifft2(each.abs().square().sum(0)).real for each in transforms)
    near = windowed(torch.fft.fft2(products / pairs.clamp(min=1)).real)  # the autocorrelation at small distances
    spectrum = torch.fft.fft2(torch.fft.ifftshift(near)).real.clamp(min=0)
    kernel = torch.fft.fftshift(torch.fft.ifft2(spectrum.sqrt()).real)
    return kernel / kernel.square().sum().sqrt().clamp(min=1e-9)
