"""Carriers: the frequencies of the screens, meshes and line patterns that targets have and inputs lack.

A small convolutional network cannot generate a pattern that is periodic over the whole image from noise. It can shape
one from a pair of planes, the cosine and the sine of each frequency, as halftoning compares an image with a periodic
threshold (Ulichney, "Digital Halftoning", 1987, chapter 5).
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.closed_form.shaped_noise import cross_spectrum

FLOOR = 1e-4  # power in [-1, 1] squared below which a frequency is rounding noise
BACKGROUND = 11  # side, in bins, of the neighborhood with whose median a peak is compared
REACH = 2  # bins around a peak in which it is the largest: the half width of the main lobe of a Hann window
PROMINENCE = 1.5  # log of the smallest ratio of a peak to its neighborhood
LOWEST = 1 / 24  # cycles per pixel: lower frequencies are content
CANDIDATES = 3  # peaks per carrier that are examined
REFINING = 200  # patches by which a frequency is refined
TOLERANCE = 0.2  # bins within which two frequencies are the same
ORDER = 3  # harmonics and combinations up to this order are shapes of dots, which a network makes from the carriers


def find_carriers(inputs: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return the frequencies (K, 2), down and across in cycles per pixel, of up to `count` carriers, strongest first.

    At each frequency, take the mixture of channels with the largest ratio of the power of targets to that of inputs:
    the largest generalized eigenvalue of the two cross-spectra. A carrier is a peak of this ratio. Thus the screen of a
    weak ink is found beside that of a strong one. Harmonics are left out.

    Args:
        inputs, targets: patches (N, 3, s, s) and (M, 3, s, s) in [-1, 1].
    """
    side = targets.shape[-1]
    ratio = torch.fft.fftshift(largest_ratio(cross_spectrum(targets), cross_spectrum(inputs)).log())
    height = ratio - local_median(ratio, BACKGROUND)
    bins = torch.fft.fftshift(torch.fft.fftfreq(side))
    down, across = bins[:, None].expand(side, side), bins.expand(side, side)
    half = (down > 0) | ((down == 0) & (across > 0))  # the spectrum of real images is symmetric
    peaks = (F.max_pool2d(height[None, None], 2 * REACH + 1, 1, REACH)[0, 0] == height) & (height > PROMINENCE)
    peaks &= half & (torch.hypot(down, across) > LOWEST)
    heights = height[peaks]
    strongest = heights.argsort(descending=True)[: CANDIDATES * count]
    starts, heights = torch.stack([down[peaks], across[peaks]], 1)[strongest], heights[strongest]
    found: list[tuple[float, Tensor]] = []
    for n in starts.norm(dim=1).argsort():  # lower frequencies first: higher ones may be their combinations
        frequency = refined(targets[:REFINING], starts[n])
        if not is_harmonic(frequency, [other for _, other in found], TOLERANCE / side):
            found.append((float(heights[n]), frequency))
    found.sort(key=lambda pair: -pair[0])
    return torch.stack([frequency for _, frequency in found[:count]]) if found else torch.empty(0, 2)


def local_median(values: Tensor, size: int) -> Tensor:
    """Return the median of the size x size neighborhood of each of the values (h, w), which repeat beyond the edges."""
    padded = F.pad(values[None, None], (size // 2,) * 4, mode="circular")
    return F.unfold(padded, size).median(1).values.view_as(values)


def largest_ratio(targets: Tensor, inputs: Tensor) -> Tensor:
    """Return the largest generalized eigenvalue (s, s) of cross-spectra (s, s, C, C)."""
    floor = FLOOR * torch.eye(inputs.shape[-1])
    factor = torch.linalg.cholesky(inputs + floor)
    half = torch.linalg.solve_triangular(factor, targets + floor, upper=False)
    whitened = torch.linalg.solve_triangular(factor, half.mH, upper=False)
    return torch.linalg.eigvalsh((whitened + whitened.mH) / 2)[..., -1]


def refined(patches: Tensor, start: Tensor, steps: int = 4) -> Tensor:
    """Return the frequency (2,) near `start` at which patches have most power, to a hundredth of a bin."""
    side = patches.shape[-1]
    x = patches - patches.mean((2, 3), keepdim=True)
    place, taper, best, width = torch.arange(side), torch.hann_window(side), start, 1 / side
    for _ in range(steps):
        offsets = torch.linspace(-width, width, 5)
        rows, columns = (
            taper * torch.exp(-2j * math.pi * (best[axis] + offsets)[:, None] * place) for axis in (0, 1)
        )  # (5, s) each
        power = (rows @ (x.to(rows.dtype) @ columns.T)).abs().square().mean(0).amax(0)  # (5, 5)
        row, column = divmod(int(power.argmax()), 5)
        best = best + torch.stack([offsets[row], offsets[column]])
        width /= 3
    return best


def is_harmonic(frequency: Tensor, others: list[Tensor], tolerance: float) -> bool:
    """Return whether a frequency is within `tolerance` of m f + n g, aliased, for f and g of the same square lattice.

    Combinations of the screens of two inks do not count: at the usual angles black's frequency is the difference of
    those of cyan and magenta.
    """
    for f, g in itertools.combinations_with_replacement(others, 2):
        turned = torch.stack([g[1], -g[0]])
        same = min(float((f - turned).norm()), float((f + turned).norm())) < tolerance
        for m, n in itertools.product(range(-ORDER, ORDER + 1), repeat=2):
            if abs(m) + abs(n) <= ORDER and (n == 0 or same):
                distance = (m * f + n * g - frequency).abs() % 1
                if float(torch.minimum(distance, 1 - distance).norm()) < tolerance:
                    return True
    return False


def carrier_planes(frequencies: Tensor, top: float, left: float, height: int, width: int, phase: Tensor) -> Tensor:
    """Return cosines and sines (N, 2K, height, width) with a variance of 1, of the pixel's place in the image.

    Args:
        frequencies: (K, 2), or (N, K, 2) for other frequencies per image.
        top, left: row and column of the first pixel.
        phase: (N, K), in cycles.
    """
    f = frequencies.expand(len(phase), -1, 2)  # fp32: in row 4,000, a phase is off by at most 1e-4 cycles
    rows = torch.arange(height, device=f.device, dtype=f.dtype) + top
    columns = torch.arange(width, device=f.device, dtype=f.dtype) + left
    down = (f[..., :1] * rows + phase[..., None]).remainder(1)  # (N, K, height)
    across = (f[..., 1:] * columns).remainder(1)  # (N, K, width)
    cycles = down[..., :, None] + across[..., None, :]  # (N, K, height, width)
    return math.sqrt(2) * torch.cat([torch.cos(2 * math.pi * cycles), torch.sin(2 * math.pi * cycles)], 1)
